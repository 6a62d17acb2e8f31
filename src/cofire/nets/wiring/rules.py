"""The table of rules: what each ATen operation does to the dimensions of its tensors.

A rule is a function of a :class:`Call`. It says the dimensions of what came out (``call.emit``), unites dimensions that
must be the same, and notes what parameters do (``call.use``). Families share a rule. An operation without a rule fixes
all that it touches. To teach cofire an operation, add a rule here and a case to ``tests/nets/wiring/test_rules.py``.
"""

from collections.abc import Callable
from typing import TypeAlias

from .calls import Call, Signal, fresh, reduced_over, united
from .dimensions import Dimension, fix, mark, piece, product, reshape, total, unite

Rule: TypeAlias = Callable[[Call], None]
RULES: dict[str, Rule] = {}


def rule(names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that enters a function into the table under each of the names."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return enter


def unknown(call: Call) -> None:
    """Fix everything that an operation without a rule touches."""
    reason = f"cofire has no rule for {call.name}"
    for signal in call.inputs:
        for one in signal.dimensions:
            fix(one, reason)
    for tensor in call.outputs():
        call.emit([fresh(size, reason) for size in tensor.shape], tensor)


@rule(
    "detach clone alias lift_fresh lift _to_copy contiguous copy dropout native_dropout bernoulli uniform normal "
    "zeros_like ones_like full_like empty_like rand_like randn_like fill zero masked_fill where "
    "hardswish hardsigmoid hardtanh silu gelu elu leaky_relu softplus prelu _prelu_kernel mish threshold "
    "rrelu_with_noise log_sigmoid_forward view_of clamp complex _conj _neg_view resolve_conj resolve_neg"
)
def elementwise(call: Call) -> None:
    """Follow entry by entry, with broadcasting. A parameter beside data rides on it: a scale, a bias, a slope."""
    varies = any(signal.varies for signal in call.inputs)
    for tensor in call.outputs():
        call.emit(united([one for one in call.inputs if len(one.dimensions) <= tensor.dim()], tensor.shape), tensor)
    for signal in call.inputs if varies else ():
        call.use("rider", signal, signal.dimensions)


@rule(
    "zeros ones full empty new_zeros new_ones new_full new_empty empty_strided new_empty_strided _efficientzerotensor"
)
def blank(call: Call) -> None:
    """Follow a tensor whose size the code gives: free until it meets another."""
    for tensor in call.outputs():
        call.emit([Dimension(size) if size != 1 else product([]) for size in tensor.shape], tensor)


@rule("arange eye scalar_tensor randn rand randint linspace randperm tril_indices triu_indices hann_window")
def factory(call: Call) -> None:
    """Follow a tensor whose entries differ along dimensions that the code gives."""
    for tensor in call.outputs():
        call.emit([fresh(size, f"its size is given to {call.name}") for size in tensor.shape], tensor)


@rule(
    "mean sum amax amin var var_mean std std_mean prod any all argmax argmin logsumexp linalg_vector_norm norm max min "
    "count_nonzero median"
)
def reduction(call: Call) -> None:
    """Follow sums and the like over some axes."""
    dimensions = call.inputs[0].dimensions
    asked = call.get("dim", [])
    axes = {one % len(dimensions) for one in ([asked] if isinstance(asked, int) else asked)} or set(
        range(len(dimensions))
    )
    reduced_over(call, [dimensions[axis] for axis in axes])
    one = product([])
    left = [one if axis in axes else d for axis, d in enumerate(dimensions) if call.get("keepdim") or axis not in axes]
    for tensor in call.outputs():
        call.emit(left if tensor.dim() == len(left) else [one] * tensor.dim(), tensor)


@rule("_softmax _log_softmax softmax log_softmax")
def along(call: Call) -> None:
    """Follow operations along one axis that keep the shape and the place of each unit."""
    dimensions = call.inputs[0].dimensions
    reduced_over(call, [dimensions[call.axis()]])
    for tensor in call.outputs():
        call.emit(dimensions, tensor)


@rule("cumsum cumprod cummax cummin _cummax_helper _cummin_helper logcumsumexp")
def cumulative(call: Call) -> None:
    """Follow running sums and the like: the order along their axis matters."""
    dimensions = call.inputs[0].dimensions
    fix(dimensions[call.axis()], f"its order matters to {call.name}")
    for tensor in call.outputs():
        call.emit(dimensions, tensor)


@rule("triu tril")
def triangle(call: Call) -> None:
    """Follow the upper or lower triangle of the last two axes."""
    dimensions = call.inputs[0].dimensions
    for one in dimensions[-2:]:
        fix(one, f"its order matters to {call.name}")
    call.emit(dimensions)


@rule("diagonal")
def diagonal(call: Call) -> None:
    """Follow the entries with two equal indices, which come last."""
    dimensions, n = call.inputs[0].dimensions, len(call.inputs[0].dimensions)
    axes = {call.get("dim1", 0) % n, call.get("dim2", 1) % n}
    for axis in axes:
        fix(dimensions[axis], "picked by diagonal")
    rest = [one for axis, one in enumerate(dimensions) if axis not in axes]
    call.emit([*rest, fresh(call.output.shape[-1], "picked by diagonal")])


@rule("_fft_c2c _fft_r2c _fft_c2r")
def fourier(call: Call) -> None:
    """Follow Fourier transforms: each entry along their axes depends on all and on their order."""
    dimensions = list(call.inputs[0].dimensions)
    for axis in {axis % len(dimensions) for axis in call["dim"]}:
        fix(dimensions[axis], "mixed by a Fourier transform")
        dimensions[axis] = fresh(call.output.shape[axis], "mixed by a Fourier transform")
    call.emit(dimensions)


@rule("view_as_real view_as_complex")
def complex_parts(call: Call) -> None:
    """Follow complex numbers seen as pairs of real ones in a last axis, or the other way round."""
    dimensions, parts = call.inputs[0].dimensions, "the parts of complex numbers"
    if call.name == "view_as_complex":
        fix(dimensions[-1], parts)
        call.emit(dimensions[:-1])
    else:
        call.emit([*dimensions, fresh(2, parts)])


@rule("flip roll sort argsort topk index_select unfold unbind select")
def moved(call: Call) -> None:
    """Follow operations that move or pick entries along an axis, which can't be followed unit by unit."""
    dimensions = list(call.inputs[0].dimensions)
    axes = call.get("dims", call.get("dim", call.get("dimension", -1)))
    axes = {axis % len(dimensions) for axis in ([axes] if isinstance(axes, int) else axes)}
    reason = f"{call.name} moves or picks its entries"
    for axis in axes:
        fix(dimensions[axis], reason)
    if call.name in ("unbind", "select"):
        dimensions = [one for axis, one in enumerate(dimensions) if axis not in axes]
    for tensor in call.outputs():
        sizes, known = tensor.shape, [*dimensions, *(fresh(size, reason) for size in tensor.shape[len(dimensions) :])]
        call.emit([d if d.size == n else fresh(n, reason) for d, n in zip(known, sizes, strict=True)], tensor)


@rule("gather")
def gather(call: Call) -> None:
    """Follow entries picked along an axis, row by row."""
    source, picked = (signal.dimensions for signal in call.inputs)
    for axis, (one, other) in enumerate(zip(source, picked, strict=True)):
        if axis != call.axis() and one.size == other.size:
            unite(one, other)
        else:
            fix(one, "picked by gather")
    call.emit(picked)


@rule("grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback")
def grid_sample(call: Call) -> None:
    """Follow images read at the places that a grid names."""
    (samples, channels, *spatial), (places, *grid) = (signal.dimensions for signal in call.inputs)
    unite(samples, places)
    for one in [*spatial, *grid]:
        fix(one, "a spatial axis")
    call.emit([samples, channels, *grid[:-1]])


@rule("_embedding_bag _embedding_bag_forward_only")
def embedding_bag(call: Call) -> None:
    """Follow sums of rows of a table."""
    weight, first = call.signal(call["weight"]), call.outputs()[0]
    fix(weight.dimensions[0], "a vocabulary")
    call.use("maker", weight, [weight.dimensions[1]], [1])
    call.emit([fresh(first.shape[0], "bags of rows"), weight.dimensions[1]], first)
    for tensor in call.outputs()[1:]:
        call.emit([fresh(size, "bags of rows") for size in tensor.shape], tensor)


@rule("_cdist_forward")
def distances(call: Call) -> None:
    """Follow distances between the rows of two tensors."""
    a, b = (signal.dimensions for signal in call.inputs)
    unite(a[-1], b[-1])
    reduced_over(call, [a[-1]])
    batch = united([Signal(one.dimensions[:-2], one.tensor) for one in call.inputs], call.output.shape[:-2])
    call.emit([*batch, a[-2], b[-2]])


@rule(
    "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d "
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d upsample_nearest1d "
    "upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d "
    "upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_nearest_exact2d "
    "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d"
)
def spatial(call: Call) -> None:
    """Follow pooling, resizing and padding of the last axes; the others stay."""
    n = int(next(character for character in call.name if character.isdigit()))
    dimensions = call.inputs[0].dimensions
    for one in dimensions[-n:]:
        fix(one, "a spatial axis")
    for tensor in call.outputs():
        call.emit([*dimensions[:-n], *(fresh(size, "a spatial axis") for size in tensor.shape[-n:])], tensor)


@rule("view _unsafe_view reshape view_copy _reshape_copy _reshape_alias unflatten flatten")
def view(call: Call) -> None:
    """Follow another shape of the same entries."""
    call.emit(reshape(call.inputs[0].dimensions, call.output.shape))


@rule("permute")
def permute(call: Call) -> None:
    """Follow axes in another order."""
    call.emit([call.inputs[0].dimensions[axis] for axis in call["dims"]])


@rule("t numpy_T")
def transpose_two(call: Call) -> None:
    """Follow axes in reverse order."""
    call.emit(call.inputs[0].dimensions[::-1])


@rule("transpose swapaxes")
def transpose(call: Call) -> None:
    """Follow two axes exchanged."""
    dimensions = list(call.inputs[0].dimensions)
    i, j = call["dim0"], call["dim1"]
    dimensions[i], dimensions[j] = dimensions[j], dimensions[i]
    call.emit(dimensions)


@rule("as_strided")
def as_strided(call: Call) -> None:
    """Follow axes found again by their size and stride; any other layout is unknown."""
    tensor = call.inputs[0].tensor
    axes = {(size, stride): axis for axis, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True))}
    places = zip(call["size"], call["stride"], strict=True)
    found = [call.inputs[0].dimensions[axes[place]] if place[0] != 1 else product([]) for place in places]
    if call.get("storage_offset", tensor.storage_offset()) != tensor.storage_offset():
        return unknown(call)
    return call.emit(found)


@rule("histc bincount unique nonzero _unique2")
def data_dependent(call: Call) -> None:
    """Follow counts and places: what comes out has the data's own size."""
    for tensor in call.outputs():
        call.emit([fresh(size, f"its size comes from {call.name}") for size in tensor.shape], tensor)


@rule("unsqueeze")
def unsqueeze(call: Call) -> None:
    """Follow a new axis of size 1."""
    dimensions = list(call.inputs[0].dimensions)
    dimensions.insert(call["dim"] % (len(dimensions) + 1), product([]))
    call.emit(dimensions)


@rule("squeeze")
def squeeze(call: Call) -> None:
    """Follow axes of size 1 taken away."""
    dimensions = call.inputs[0].dimensions
    asked = call.get("dim", list(range(len(dimensions))))
    axes = {axis % max(len(dimensions), 1) for axis in ([asked] if isinstance(asked, int) else asked)}
    call.emit([one for axis, one in enumerate(dimensions) if axis not in axes or one.size != 1])


@rule("expand broadcast_to")
def expand(call: Call) -> None:
    """Follow axes of size 1 repeated; how often the code says, until it meets another dimension."""
    shape, dimensions = call.output.shape, call.inputs[0].dimensions
    before = [product([])] * (len(shape) - len(dimensions)) + list(dimensions)
    call.emit([one if one.size == size else Dimension(size) for one, size in zip(before, shape, strict=True)])


@rule("repeat")
def repeat(call: Call) -> None:
    """Follow copies one after the other along axes."""
    shape, dimensions = call.output.shape, call.inputs[0].dimensions
    before = [product([])] * (len(shape) - len(dimensions)) + list(dimensions)
    copies = [fresh(times, "copies by repeat") for times in call["repeats"]]
    call.emit([product([times, one]) for times, one in zip(copies, before, strict=True)])


@rule("slice")
def slice_(call: Call) -> None:
    """Follow part of an axis; with a step only where the step divides the axis."""
    dimensions, axis = list(call.inputs[0].dimensions), call.axis()
    size, step = dimensions[axis].size, call.get("step", 1)
    start, stop, _ = slice(call.get("start"), call.get("end"), step).indices(size)
    if step == 1:
        dimensions[axis] = piece(dimensions[axis], start, max(stop, start))
    elif size % step == 0 and start < step:
        dimensions[axis], steps = reshape([dimensions[axis]], (size // step, step))
        fix(steps, "a slice with a step")
    else:
        fix(dimensions[axis], "a slice with a step")
    if dimensions[axis].size != call.output.shape[axis]:
        dimensions[axis] = fresh(call.output.shape[axis], "a slice with a step")
    call.emit(dimensions)


@rule("split split_with_sizes unsafe_split unsafe_split_with_sizes split_copy split_with_sizes_copy chunk unsafe_chunk")
def split(call: Call) -> None:
    """Follow parts of an axis one after the other."""
    axis, start = call.axis(), 0
    for tensor in call.output:
        dimensions = list(call.inputs[0].dimensions)
        dimensions[axis] = piece(dimensions[axis], start, start + tensor.shape[axis])
        start += tensor.shape[axis]
        call.emit(dimensions, tensor)


@rule("cat")
def cat(call: Call) -> None:
    """Follow tensors one after the other along an axis."""
    axis = call.axis(n=call.output.dim())
    joined = [call.signal(tensor) for tensor in call["tensors"] if tensor.dim() == call.output.dim()]
    beside = [
        Signal([product([]) if k == axis else d for k, d in enumerate(one.dimensions)], one.tensor) for one in joined
    ]
    dimensions = united(beside, [1 if k == axis else size for k, size in enumerate(call.output.shape)])
    dimensions[axis] = total([one.dimensions[axis] for one in joined])
    for one in joined:
        call.use("rider", one, one.dimensions)
    call.emit(dimensions)


@rule("stack")
def stack(call: Call) -> None:
    """Follow tensors side by side along a new axis."""
    dimensions = united(call.inputs, call.inputs[0].tensor.shape)
    dimensions.insert(call.axis(n=call.output.dim()), fresh(len(call["tensors"]), "stacked tensors"))
    call.emit(dimensions)


@rule("constant_pad_nd")
def pad(call: Call) -> None:
    """Follow constants before and behind, or a crop where a width is negative."""
    dimensions = list(call.inputs[0].dimensions)
    widths = call["pad"]
    for k, (before, behind) in enumerate(zip(widths[::2], widths[1::2], strict=True)):
        axis = -1 - k
        whole = dimensions[axis]
        inner = piece(whole, max(-before, 0), whole.size - max(-behind, 0))
        added = [Dimension(max(n, 0), fixed="padding") for n in (before, behind)]
        dimensions[axis] = total([added[0], inner, added[1]])
    call.emit(dimensions)


@rule("embedding")
def embedding(call: Call) -> None:
    """Follow rows of a table: the table makes the units of its second axis."""
    weight, indices = call.signal(call["weight"]), call.signal(call["indices"])
    fix(weight.dimensions[0], "a vocabulary")
    call.use("maker", weight, [weight.dimensions[1]], [1])
    call.emit([*indices.dimensions, weight.dimensions[1]])


@rule("index")
def index(call: Call) -> None:
    """Follow entries picked by tensors of indices."""
    signal, picked = call.inputs[0], [axis for axis, one in enumerate(call["indices"]) if one is not None]
    tensors = [call["indices"][axis] for axis in picked]
    if any(not one.dtype.is_floating_point and one.dtype.itemsize == 1 for one in tensors):  # a mask: data set the size
        return unknown(call)
    for axis in picked:
        fix(signal.dimensions[axis], "picked by index")
    rest = [one for axis, one in enumerate(signal.dimensions) if axis not in picked]
    chosen = bool(signal.made_of) and any(call.signal(one).varies for one in tensors)
    matrices = chosen and picked == [0] and len(rest) > 1  # a matrix of each expert: they stay weights
    if chosen and not matrices:  # a table of one's own, or biases of experts
        call.use("maker" if signal.made_of == call.own else "rider", signal, rest)
    n_new = call.output.dim() - len(rest)
    at = picked[0] if picked == list(range(picked[0], picked[-1] + 1)) else 0
    found = united([call.signal(one) for one in tensors], call.output.shape[at : at + n_new])
    call.emit([*rest[:at], *found, *rest[at:]])
    if matrices:
        call.emitted[-1].made_of, call.emitted[-1].varies = signal.made_of, False
    return None


@rule("scatter scatter_add scatter_reduce")
def scatter(call: Call) -> None:
    """Follow entries written or added to places along an axis, row by row."""
    target, *others = (signal.dimensions for signal in call.inputs)
    fix(target[call.axis()], f"written by {call.name}")
    for other in others:
        for axis, (one, source) in enumerate(zip(target, other, strict=True)):
            if axis != call.axis() and one.size == source.size:
                unite(one, source)
            else:
                fix(source, f"written by {call.name}")
                fix(one, f"written by {call.name}")
    call.emit(target)


@rule("index_put _index_put_impl index_add index_copy slice_scatter select_scatter masked_scatter")
def put(call: Call) -> None:
    """Follow entries overwritten at places: what is written and where is fixed."""
    for signal in call.inputs[1:]:
        for one in signal.dimensions:
            fix(one, f"written by {call.name}")
    for one in call.inputs[0].dimensions:
        fix(one, f"written into by {call.name}")
    call.emit(call.inputs[0].dimensions)


def contract(call: Call, a: Signal, b: Signal, inner: tuple[int, int], outer: tuple[range, range]) -> None:
    """Note a product over an axis of each: the one that is a parameter reads it and makes its ``outer`` axes.

    Where both come from parameters (a table of positions times a weight), the weight is what the running module owns.
    """
    read = a.dimensions[inner[0]], b.dimensions[inner[1]]
    unite(*read)
    own = [one.varies is False and bool(one.made_of & call.own) for one in (a, b)]
    if a.varies and b.varies:
        mark(read[0], f"coupled by {call.name}")
    elif b.made_of and not b.varies and (a.varies or own[1]):
        call.use("reader", b, [read[1]])
        call.use("maker", b, [b.dimensions[axis] for axis in outer[1]], outer[1])
    elif a.made_of and not a.varies and (b.varies or own[0]):
        call.use("reader", a, [read[0]])
        call.use("maker", a, [a.dimensions[axis] for axis in outer[0]], outer[0])


@rule("mm mv dot addmm addmv bmm baddbmm")
def matmul(call: Call) -> None:
    """Follow matrix products, of vectors and of batches too, with something added perhaps."""
    a, b = call.inputs[-2:]  # in all of these the two factors come last
    batch = a.dimensions[:-2] if len(b.dimensions) > 2 else []
    for one, other in zip(batch, b.dimensions[:-2], strict=True):
        unite(one, other)
    n, (n_a, n_b) = len(batch), (len(a.dimensions), len(b.dimensions))
    before, behind = a.dimensions[n:-1], b.dimensions[n + 1 :]
    contract(call, a, b, (n_a - 1, n), (range(n, n_a - 1), range(n + 1, n_b)))
    for one in (a, b):
        call.use("batch", one, one.dimensions[: len(batch)])
    out = [*batch, *before, *behind]
    if len(call.inputs) > 2:
        added = call.inputs[0]
        united([Signal(out, call.output), added], call.output.shape)
        call.use("rider", added, added.dimensions)
    call.emit(out)


@rule("_trilinear")
def trilinear(call: Call) -> None:
    """Follow sums over products of three tensors, as a bilinear layer makes them."""
    spread = []
    for signal, added in zip(call.inputs, (call["expand1"], call["expand2"], call["expand3"]), strict=True):
        dimensions = list(signal.dimensions)
        for axis in sorted(added):
            dimensions.insert(axis, product([]))
        spread.append(Signal(dimensions, signal.tensor, signal.made_of, signal.varies))
    sizes = [max(some, key=lambda one: one.size).size for some in zip(*(one.dimensions for one in spread), strict=True)]
    found, summed = united(spread, sizes), set(call["sumdim"])
    for signal in spread:
        call.use("reader", signal, [one for axis, one in enumerate(signal.dimensions) if axis in summed])
        outer = [axis for axis in range(len(signal.dimensions)) if axis not in summed]
        call.use("maker", signal, [signal.dimensions[axis] for axis in outer], outer)
    call.emit([one for axis, one in enumerate(found) if axis not in summed])


@rule("_grouped_mm")
def grouped_mm(call: Call) -> None:
    """Follow rows times the matrix of their expert."""
    a, b = call.inputs[:2]
    n = len(b.dimensions)
    contract(call, a, b, (len(a.dimensions) - 1, n - 2), (range(0), range(n - 1, n)))
    call.use("batch", b, b.dimensions[:-2])
    call.emit([a.dimensions[0], b.dimensions[-1]])


@rule("convolution convolution_overrideable _convolution mkldnn_convolution")
def convolution(call: Call) -> None:
    """Follow convolutions, transposed and in groups. A kernel that reads one channel and makes one rides on it."""
    x, weight, groups, n = call.inputs[0], call.inputs[1], call["groups"], call.output.dim() - 2
    taken, made = (weight.dimensions[0], weight.dimensions[1]) if call["transposed"] else weight.dimensions[1::-1]
    for one in [*weight.dimensions[2:], *x.dimensions[2:]]:
        fix(one, "a spatial axis")
    channels = x.dimensions[1]
    group = Dimension(groups)
    if groups > 1:
        mark(group, "equal groups")
        per_group = weight.tensor.shape[0] // groups
        whole = product([group, Dimension(per_group) if per_group > 1 else product([])])
        if call["transposed"]:
            unite(taken, whole)
            made = product([group, made])
        else:
            taken = product([group, taken])
            unite(made, whole)
    depthwise = groups > 1 and weight.tensor.shape[1] == 1 and channels.size == groups
    unite(channels, taken)
    call.use("rider" if depthwise else "reader", weight, [channels])
    role = "rider" if depthwise and made.size == groups else "maker"
    call.use(role, weight, [made], [1 if call["transposed"] else 0], output_axis=-1 - n)
    if groups > 1 and role == "maker":
        call.use("batch", weight, [group])
    if len(call.inputs) > 2:
        unite(call.inputs[2].dimensions[0], made)
        call.use("rider", call.inputs[2], call.inputs[2].dimensions)
    call.emit([x.dimensions[0], made, *(fresh(size, "a spatial axis") for size in call.output.shape[2 : 2 + n])])


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


@rule("native_layer_norm _fused_rms_norm")
def layer_norm(call: Call) -> None:
    """Follow normalization over the last axes; its scale and shift ride on them."""
    dimensions, n = call.inputs[0].dimensions, len(call["normalized_shape"])
    reduced_over(call, dimensions[-n:])
    for signal in call.inputs[1:]:
        for one, other in zip(dimensions[-n:], signal.dimensions, strict=True):
            unite(one, other)
        call.use("rider", signal, signal.dimensions)
    first, *rest = call.outputs()
    call.emit(dimensions, first)
    for tensor in rest:
        call.emit([*dimensions[:-n], *[product([])] * n], tensor)


@rule("native_group_norm")
def group_norm(call: Call) -> None:
    """Follow normalization over groups of channels."""
    dimensions, groups = call.inputs[0].dimensions, call["group"]
    if 1 < groups < dimensions[1].size:
        mark(reshape([dimensions[1]], (groups, dimensions[1].size // groups))[0], "equal groups")
    reduced_over(call, dimensions[1 if groups < dimensions[1].size else 2 :])
    _channels(call, dimensions)


@rule(
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _native_batch_norm_legit_no_stats "
    "_native_batch_norm_legit_functional cudnn_batch_norm miopen_batch_norm _batch_norm_with_update "
    "_batch_norm_no_update"
)
def batch_norm(call: Call) -> None:
    """Follow normalization of each channel; scale, shift and statistics ride on it."""
    if call.get("training", "no_stats" in call.name):
        reduced_over(call, [one for axis, one in enumerate(call.inputs[0].dimensions) if axis != 1])
    _channels(call, call.inputs[0].dimensions)


def _channels(call: Call, dimensions: list[Dimension]) -> None:
    for signal in call.inputs[1:]:
        unite(dimensions[1], signal.dimensions[0])
        call.use("rider", signal, signal.dimensions)
    first, *rest = call.outputs()
    call.emit(dimensions, first)
    for tensor in rest:
        same = [dimensions[1] if size == dimensions[1].size else fresh(size, "a statistic") for size in tensor.shape]
        call.emit(same, tensor)
