"""Rules for normalization."""

from ..calls import Call, fresh, reduced_over
from ..dimensions import Dimension, mark, product, reshape, unite
from .rule_table import rule


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
