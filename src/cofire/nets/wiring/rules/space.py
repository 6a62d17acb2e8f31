"""Rules for operations on axes of space: pooling, resizing, padding, convolution."""

from ..calls import Call, fresh
from ..dimensions import Dimension, fix, mark, product, unite
from .rule_table import rule


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


@rule("grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback")
def grid_sample(call: Call) -> None:
    """Follow images read at the places that a grid names."""
    (samples, channels, *spatial), (places, *grid) = (signal.dimensions for signal in call.inputs)
    unite(samples, places)
    for one in [*spatial, *grid]:
        fix(one, "a spatial axis")
    call.emit([samples, channels, *grid[:-1]])


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
    axis, n_inputs = (1, 0) if call["transposed"] else (0, 1)
    per_unit = weight.tensor.shape[n_inputs] // (groups if call["transposed"] else 1)
    call.use(role, weight, [made], [axis], output_axis=-1 - n, inputs=per_unit)
    if groups > 1 and role == "maker":
        call.use("batch", weight, [group])
    if len(call.inputs) > 2:
        unite(call.inputs[2].dimensions[0], made)
        call.use("rider", call.inputs[2], call.inputs[2].dimensions)
    call.emit([x.dimensions[0], made, *(fresh(size, "a spatial axis") for size in call.output.shape[2 : 2 + n])])
