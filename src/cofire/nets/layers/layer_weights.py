"""The incoming weights of a layer's units, one unit a row, whatever way the layer stores them."""

from collections.abc import Iterator

from torch import Tensor, nn

from ...stats.weights.unit_vectors import PARTS, Fused, split_units, units_first
from ..torch_private import Convolution

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GATED: tuple[tuple[tuple[type[nn.Module], ...], Fused], ...] = (
    ((nn.LSTM, nn.LSTMCell), "lstm"),
    ((nn.GRU, nn.GRUCell), "gru"),
)


def unit_weights(module: nn.Module) -> dict[str, Tensor]:
    """Weights (n_units, n_inputs, ...) by what tells them apart within the layer; empty if it has none.

    Linear and convolution layers have one, named ``""``. An embedding's units are its features, so its table
    is turned; so is the weight of transformers' ``Conv1D``. Recurrent layers have one for each gate of each input
    and direction, attention one for each projection. They are views where they can be, with gradients.

    Example:
        >>> {name: tuple(weight.shape) for name, weight in unit_weights(nn.GRU(3, 5)).items()}["ih_l0.new"]
        (5, 3)
    """
    if isinstance(module, nn.MultiheadAttention):
        return dict(_projections(module))
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return dict(_gates(module))
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        return {}
    turned = isinstance(module, (nn.Embedding, nn.EmbeddingBag, *_TRANSPOSED)) or _is_turned_linear(module)
    return {"": units_first(weight, 1, n_groups(module)) if turned else weight}


def _is_turned_linear(module: nn.Module) -> bool:
    """Whether it is the linear layer of GPT-2 in transformers, which keeps its weight (n_inputs, n_units)."""
    return type(module).__name__ == "Conv1D" and type(module).__module__.startswith("transformers.")


def whole(weight: Tensor) -> Tensor:
    """A weight that FSDP2 has spread over processes, put together, with its gradient; others as they are.

    All the processes must ask for it.
    """
    full = getattr(weight, "full_tensor", None)
    return weight if full is None else full()


def n_groups(module: nn.Module) -> int:
    """Into how many groups a convolution's units fall that share no input; 1 for all other layers.

    Example:
        >>> n_groups(nn.Conv1d(6, 4, 3, groups=2)), n_groups(nn.GroupNorm(2, 4))
        (2, 1)
    """
    return module.groups if isinstance(module, Convolution) else 1


def _gates(module: nn.RNNBase | nn.RNNCellBase) -> Iterator[tuple[str, Tensor]]:
    kind: Fused | None = next((kind for types, kind in _GATED if isinstance(module, types)), None)
    for name, weight in module.named_parameters(recurse=False):
        if not name.startswith("weight_"):
            continue
        place = name.removeprefix("weight_")
        # the projection of an LSTM has no gates
        if kind is None or place.startswith("hr"):
            yield place, weight
        else:
            yield from ((f"{place}.{gate}", part) for gate, part in split_units(weight, kind).items())


def _projections(module: nn.MultiheadAttention) -> Iterator[tuple[str, Tensor]]:
    if module.in_proj_weight is not None:
        yield from split_units(module.in_proj_weight, "attention").items()
    else:
        separate = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        yield from zip(PARTS["attention"], separate, strict=True)
    yield "out", module.out_proj.weight
