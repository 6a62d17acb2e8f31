"""Rules for operations that give a tensor another shape: views, slices, cats."""

from ..calls import Call, Signal, fresh, united
from ..dimensions import Dimension, fix, piece, product, reshape, total
from .rule_table import rule, unknown


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
    for one in joined if any(signal.varies for signal in joined) else ():
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


@rule("diagonal")
def diagonal(call: Call) -> None:
    """Follow the entries with two equal indices, which come last."""
    dimensions, n = call.inputs[0].dimensions, len(call.inputs[0].dimensions)
    axes = {call.get("dim1", 0) % n, call.get("dim2", 1) % n}
    for axis in axes:
        fix(dimensions[axis], "picked by diagonal")
    rest = [one for axis, one in enumerate(dimensions) if axis not in axes]
    call.emit([*rest, fresh(call.output.shape[-1], "picked by diagonal")])
