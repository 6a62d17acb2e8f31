"""Rules for products of tensors, and for attention."""

from ..calls import Call, Signal, fresh, reduced_over, united
from ..dimensions import Dimension, mark, product, unite
from .rule_table import rule


def contract(call: Call, a: Signal, b: Signal, inner: tuple[int, int], outer: tuple[range, range]) -> bool:
    """Note a product over an axis of each: the one that is a parameter reads it and makes its ``outer`` axes.

    Where both come from parameters (a table of positions times a weight), the weight is what the running module owns,
    and what it makes of the other is no weight but data of its own. If it owns both or none, the product is a weight,
    as one of low rank is.

    Returns:
        Whether the product is data.
    """
    read = a.dimensions[inner[0]], b.dimensions[inner[1]]
    unite(*read)
    own = [one.varies is False and bool(one.made_of & call.own) for one in (a, b)]
    if not (a.varies or b.varies) and (own[0] == own[1] or call.of_weight):
        return False
    if a.varies and b.varies:
        mark(read[0], f"coupled by {call.name}")
    elif b.made_of and not b.varies and (a.varies or own[1]):
        call.use("rider", a, [read[0]])
        call.use("reader", b, [read[1]])
        call.use("maker", b, [b.dimensions[axis] for axis in outer[1]], outer[1])
    elif a.made_of and not a.varies and (b.varies or own[0]):
        call.use("rider", b, [read[1]])
        call.use("reader", a, [read[0]])
        call.use("maker", a, [a.dimensions[axis] for axis in outer[0]], outer[0])
    return True


@rule("mm mv dot addmm addmv bmm baddbmm")
def matmul(call: Call) -> None:
    """Follow matrix products, of vectors and of batches too, with something added perhaps."""
    a, b = call.inputs[-2:]  # in all of these the two factors come last
    batch = a.dimensions[:-2] if len(b.dimensions) > 2 else []
    for one, other in zip(batch, b.dimensions[:-2], strict=True):
        unite(one, other)
    n, (n_a, n_b) = len(batch), (len(a.dimensions), len(b.dimensions))
    before, behind = a.dimensions[n:-1], b.dimensions[n + 1 :]
    is_data = contract(call, a, b, (n_a - 1, n), (range(n, n_a - 1), range(n + 1, n_b)))
    for one in (a, b) if is_data else ():
        call.use("batch", one, one.dimensions[: len(batch)])
    out = [*batch, *before, *behind]
    if len(call.inputs) > 2:
        added = call.inputs[0]
        united([Signal(out, call.output), added], call.output.shape)
        if is_data:
            call.use("rider", added, added.dimensions)
    call.emit(out)
    if is_data:
        call.emitted[-1].varies, call.emitted[-1].made_of = True, frozenset()


@rule("_trilinear")
def trilinear(call: Call) -> None:
    """Follow sums over products of three tensors, as a bilinear layer makes them: a unit has a weight for each pair."""
    spread = []
    for signal, added in zip(call.inputs, (call["expand1"], call["expand2"], call["expand3"]), strict=True):
        dimensions = list(signal.dimensions)
        for axis in sorted(added):
            dimensions.insert(axis, product([]))
        spread.append(Signal(dimensions, signal.tensor, signal.made_of, signal.varies))
    sizes = [max(some, key=lambda one: one.size).size for some in zip(*(one.dimensions for one in spread), strict=True)]
    found, summed = united(spread, sizes), set(call["sumdim"])
    weight, own = call.inputs[1], [axis for axis in range(len(sizes)) if axis not in call["expand2"]]
    for signal in (call.inputs[0], call.inputs[2]):
        call.use("rider", signal, signal.dimensions)
    call.use("reader", weight, [product([weight.dimensions[k] for k, axis in enumerate(own) if axis in summed])])
    made = [k for k, axis in enumerate(own) if axis not in summed]
    call.use("maker", weight, [weight.dimensions[k] for k in made], made)
    call.emit([one for axis, one in enumerate(found) if axis not in summed])


@rule("_grouped_mm")
def grouped_mm(call: Call) -> None:
    """Follow rows times the matrix of their expert."""
    a, b = call.inputs[:2]
    n = len(b.dimensions)
    contract(call, a, b, (len(a.dimensions) - 1, n - 2), (range(0), range(n - 1, n)))
    call.use("batch", b, b.dimensions[:-2])
    call.emit([a.dimensions[0], b.dimensions[-1]])


@rule("_cdist_forward")
def distances(call: Call) -> None:
    """Follow distances between the rows of two tensors."""
    a, b = (signal.dimensions for signal in call.inputs)
    unite(a[-1], b[-1])
    reduced_over(call, [a[-1]])
    batch = united([Signal(one.dimensions[:-2], one.tensor) for one in call.inputs], call.output.shape[:-2])
    call.emit([*batch, a[-2], b[-2]])


@rule(
    "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "_scaled_dot_product_fused_attention_overrideable"
)
def attention(call: Call) -> None:
    """Follow fused attention; several query heads may share a key head."""
    query, key, value = (one.dimensions for one in call.inputs[:3])
    for q, k, v in zip(query[:-2], key[:-2], value[:-2], strict=True):
        unite(k, v)
        unite(q, k if q.size == k.size else product([k, Dimension(q.size // k.size)]))
    unite(query[-1], key[-1])
    unite(key[-2], value[-2])
    mark(query[-1], "coupled by attention")
    reduced_over(call, [key[-2]])
    if call.get("attn_mask", call.get("attn_bias")) is not None:
        scores = [*query[:-1], key[-2]]
        mask = call.inputs[3]
        united([Signal(scores, mask.tensor), mask], [one.size for one in scores])
        call.use("rider", mask, mask.dimensions)
    first, *rest = call.outputs()
    call.emit([*query[:-1], value[-1]], first)
    for tensor in rest:
        call.emit([fresh(size, "internal to attention") for size in tensor.shape], tensor)
