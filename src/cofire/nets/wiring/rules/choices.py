"""Rules for operations that pick entries, or write them, at places that other tensors or the data name."""

import torch
from torch import Tensor

from ..calls import Call, Signal, fresh, united
from ..dimensions import Dimension, fix, unite
from .rule_table import rule


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


@rule("histc bincount unique nonzero _unique2 masked_select nms qnms")
def data_dependent(call: Call) -> None:
    """Follow counts, places and choices: what comes out has the data's own size."""
    for signal in call.inputs:
        for one in signal.dimensions:
            fix(one, f"its order matters to {call.name}")
    for tensor in call.outputs():
        call.emit([fresh(size, f"its size comes from {call.name}") for size in tensor.shape], tensor)


@rule("embedding")
def embedding(call: Call) -> None:
    """Follow rows of a table: the table makes the units of its second axis."""
    weight, indices = call.signal(call["weight"]), call.signal(call["indices"])
    fix(weight.dimensions[0], "a vocabulary")
    call.use("maker", weight, [weight.dimensions[1]], [1])
    call.emit([*indices.dimensions, weight.dimensions[1]])


@rule("_embedding_bag _embedding_bag_forward_only")
def embedding_bag(call: Call) -> None:
    """Follow sums of rows of a table."""
    weight, first = call.signal(call["weight"]), call.outputs()[0]
    fix(weight.dimensions[0], "a vocabulary")
    call.use("maker", weight, [weight.dimensions[1]], [1])
    call.emit([fresh(first.shape[0], "bags of rows"), weight.dimensions[1]], first)
    for tensor in call.outputs()[1:]:
        call.emit([fresh(size, "bags of rows") for size in tensor.shape], tensor)


@rule("index")
def index(call: Call) -> None:
    """Follow entries picked by tensors of indices, or by masks, which stand for as many axes as they have."""
    signal, tensors, rest, at = _picked(call)
    shape = call.output.shape[at : at + call.output.dim() - len(rest)]
    if any(map(_is_mask, tensors)):
        found = [fresh(size, "its size comes from a mask") for size in shape]
    else:
        found = united([call.signal(one) for one in tensors], shape)
    chosen = bool(signal.made_of) and any(call.signal(one).varies for one in tensors)
    matrices = chosen and len(rest) == len(signal.dimensions) - 1 > 1 and at == 0  # of experts: they stay weights
    if chosen and not matrices:  # a table of one's own, or biases of experts
        role = "maker" if signal.made_of == call.own else "rider"
        call.use(
            role, signal, rest, [axis for axis, one in enumerate(signal.dimensions) if any(one is d for d in rest)]
        )
    call.emit([*rest[:at], *found, *rest[at:]])
    if matrices:
        call.emitted[-1].made_of, call.emitted[-1].varies = signal.made_of, False


@rule("index_put _index_put_impl")
def index_put(call: Call) -> None:
    """Follow entries overwritten at places that tensors of indices or masks name."""
    signal, _, rest, at = _picked(call)
    values = call.signal(call["values"])
    n_behind = len(rest) - at
    behind = values.dimensions[len(values.dimensions) - n_behind :] if n_behind else []
    for one in values.dimensions[: len(values.dimensions) - len(behind)]:
        fix(one, f"written by {call.name}")
    for one in rest[:at]:
        fix(one, f"written into by {call.name}")
    united([Signal(rest[at:], signal.tensor), Signal(behind, values.tensor)], [one.size for one in rest[at:]])
    call.use("rider", values, behind)
    call.emit(signal.dimensions)


def _picked(call: Call) -> tuple[Signal, list[Tensor], list[Dimension], int]:
    """Fix the axes that indices or masks pick from, and return the tensor, those, the other axes, and the new place."""
    signal, tensors, picked, axis = call.inputs[0], [], [], 0
    for one in call["indices"]:
        width = one.dim() if one is not None and _is_mask(one) else 1
        if one is not None:
            tensors.append(one)
            picked += range(axis, axis + width)
        axis += width
    for one in picked:
        fix(signal.dimensions[one], f"picked by {call.name}")
    rest = [one for k, one in enumerate(signal.dimensions) if k not in picked]
    return signal, tensors, rest, picked[0] if picked == list(range(picked[0], picked[-1] + 1)) else 0


def _is_mask(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.bool, torch.uint8)


@rule("index_add index_copy")
def index_add(call: Call) -> None:
    """Follow entries added or written to places along an axis, whole slices at a time."""
    target, source = call.inputs[0].dimensions, call.signal(call["source"]).dimensions
    for axis, (one, other) in enumerate(zip(target, source, strict=True)):
        if axis == call.axis():
            fix(one, f"written into by {call.name}")
            fix(other, f"written by {call.name}")
        else:
            unite(one, other)
    call.emit(target)


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


@rule("slice_scatter select_scatter masked_scatter put take")
def put(call: Call) -> None:
    """Follow entries overwritten at places: what is written and where is fixed."""
    for signal in call.inputs[1:]:
        for one in signal.dimensions:
            fix(one, f"written by {call.name}")
    for one in call.inputs[0].dimensions:
        fix(one, f"written into by {call.name}")
    call.emit(call.inputs[0].dimensions)
