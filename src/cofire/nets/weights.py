"""The incoming weights of a layer's units, one unit a row, whatever way the layer stores them."""

from collections.abc import Iterator

from torch import Tensor, nn

_GATES = {"LSTM": "ifgo", "GRU": "rzn", "RNN": ""}
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def unit_weights(module: nn.Module) -> dict[str, Tensor]:
    """Weights (n_units, n_inputs, ...) by what tells them apart within the layer; empty if it has none.

    Linear and convolution layers have one, named ``""``. An embedding's units are its features, so its table
    is turned. Recurrent layers have one for each gate of each input and direction, attention one for each
    projection.

    Example:
        >>> {name: tuple(weight.shape) for name, weight in unit_weights(nn.GRU(3, 5)).items()}["ih_l0.n"]
        (5, 3)
    """
    if isinstance(module, nn.MultiheadAttention):
        return dict(_projections(module))
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return dict(_gates(module))
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        return {}
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return {"": weight.t()}
    if isinstance(module, _TRANSPOSED):
        return {"": _turned(weight, module.groups)}
    return {"": weight}


def _turned(weight: Tensor, groups: int) -> Tensor:
    """A transposed convolution's (in, out/groups, ...) -> (out, in/groups, ...)."""
    by_group = weight.unflatten(0, (groups, weight.shape[0] // groups))
    return by_group.transpose(1, 2).flatten(0, 1)


def _gates(module: nn.RNNBase | nn.RNNCellBase) -> Iterator[tuple[str, Tensor]]:
    kind = next((kind for kind in _GATES if type(module).__name__.upper().startswith(kind)), "RNN")
    for name, weight in module.named_parameters(recurse=False):
        if not name.startswith("weight_"):
            continue
        place = name.removeprefix("weight_")
        # The projection of an LSTM has no gates.
        if kind == "RNN" or place.startswith("hr"):
            yield place, weight
        else:
            yield from zip((f"{place}.{gate}" for gate in _GATES[kind]), weight.chunk(len(_GATES[kind])), strict=True)


def _projections(module: nn.MultiheadAttention) -> Iterator[tuple[str, Tensor]]:
    fused = module.in_proj_weight
    for part, letter in enumerate("qkv"):
        weight = fused.chunk(3)[part] if isinstance(fused, Tensor) else getattr(module, f"{letter}_proj_weight")
        yield letter, weight
    yield "out", module.out_proj.weight
