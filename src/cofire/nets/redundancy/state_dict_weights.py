"""Read the weights in a bare state dict by their names and shapes."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from .parameter_names import embeds, fused_parts, is_bias, layer_of, looks_like_weight, turned_by_bias
from .readings import Reading, Readings, Seen, plain, tied, unusable


def read_state_dict(weights: Mapping[str, Tensor]) -> Readings:
    """Return the incoming weights in a bare state dict, read by their names and shapes.

    A state dict does not say what its tensors are for. Weights are taken as (units, inputs, ...), convolutions as
    ungrouped; embeddings, torch's fused gates and projections, and layers that store (inputs, units) are known by
    their names and by the length of their bias.
    """
    seen: Seen = {}
    left_out: dict[str, str] = {}
    turned = turned_by_bias(weights)
    found: list[Reading] = []
    for name, tensor in weights.items():
        reason = unusable(tensor) or _other(name, tensor) or tied(seen, name, tensor)
        if reason:
            left_out[name] = reason
        else:
            found.extend(_readings(name, plain(tensor), weights, name in turned))
    return Readings(tuple(found), left_out)


def _readings(name: str, tensor: Tensor, weights: Mapping[str, Tensor], turned: bool) -> Iterator[Reading]:
    layer = layer_of(name)
    if embeds(name) and tensor.ndim == 2 and f"{layer}.bias" not in weights:  # a table has no bias
        yield Reading(layer, tensor, unit_axis=1, notes=("read as an embedding: its units are the features",))
        return
    notes = ("its bias shows that it is stored as (inputs, units)",) if turned else ()
    if tensor.ndim > 2:
        notes += ("read as a convolution in one group",)
    units_first = tensor.transpose(0, 1) if turned else tensor
    for part, weight in fused_parts(name, units_first, weights).items():
        yield Reading(".".join(filter(None, (layer, part))), weight, notes=notes)


def _other(name: str, tensor: Tensor) -> str | None:
    if is_bias(name):
        return "a bias or a mask by its name"
    if tensor.ndim > 2 and not looks_like_weight(name):
        return "no layer's weight by its name"
    return None
