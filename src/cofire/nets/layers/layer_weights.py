"""The incoming weights of a layer's units, one row per unit, however the layer stores them."""

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from ...stats.weights.unit_vectors import PARTS, Fused, split_units, units_first
from ..torch_private import Convolution
from .effective_weight import effective_weight

# These store (inputs, units, ...) where linear and convolution layers store (units, inputs, ...).
_TRANSPOSED = (nn.Embedding, nn.EmbeddingBag, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GATED: tuple[tuple[tuple[type[nn.Module], ...], Fused], ...] = (
    ((nn.LSTM, nn.LSTMCell), "lstm"),
    ((nn.GRU, nn.GRUCell), "gru"),
)


def unit_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a layer's weights (n_units, n_inputs, ...) by their names within the layer; empty if it has none.

    Linear and convolution layers have one weight, named ``""``. The units of an embedding are its features, so its
    table is transposed; so is the weight of transformers' ``Conv1D``. Recurrent layers have a weight for each gate of
    each input and direction, attention for each projection. The weights are those that `effective_weight` gives, as
    views where possible, with gradients.

    Raises:
        ValueError: if a weight is lazy and has no value yet.

    Example:
        >>> {name: tuple(weight.shape) for name, weight in unit_weights(nn.GRU(3, 5)).items()}["ih_l0.new"]
        (5, 3)
    """
    if isinstance(module, nn.MultiheadAttention):
        return dict(_projections(module))
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return dict(_gates(module))
    weight = effective_weight(module, "weight")
    if weight is None or weight.ndim < 2 or not weight.is_floating_point():
        return {}
    # By name, so that transformers is not imported: GPT-2's linear layer stores (inputs, units).
    gpt2_linear = type(module).__name__ == "Conv1D" and type(module).__module__.startswith("transformers.")
    transposed = isinstance(module, _TRANSPOSED) or gpt2_linear
    return {"": units_first(weight, 1, n_groups(module)) if transposed else weight}


def n_groups(module: nn.Module) -> int:
    """Return the number of groups of a convolution, whose units share no input across groups; 1 for other layers.

    Example:
        >>> n_groups(nn.Conv1d(6, 4, 3, groups=2)), n_groups(nn.GroupNorm(2, 4))
        (2, 1)
    """
    return module.groups if isinstance(module, Convolution) else 1


def _gates(module: nn.RNNBase | nn.RNNCellBase) -> Iterator[tuple[str, Tensor]]:
    kind: Fused | None = next((kind for types, kind in _GATED if isinstance(module, types)), None)
    for place in _places(module):
        weight = effective_weight(module, f"weight_{place}")
        # The projection of an LSTM ("hr") has no gates.
        if weight is None or kind is None or place.startswith("hr"):
            yield from [] if weight is None else [(place, weight)]
        else:
            yield from ((f"{place}.{gate}", part) for gate, part in split_units(weight, kind).items())


def _places(module: nn.RNNBase | nn.RNNCellBase) -> list[str]:
    """Return the ends of the names of a recurrent layer's weights; one that a hook computes is no parameter."""
    if isinstance(module, nn.RNNCellBase):
        return ["ih", "hh"]
    inputs = ["ih", "hh", *(["hr"] if module.proj_size else [])]
    ways = ["", "_reverse"] if module.bidirectional else [""]
    return [f"{one}_l{level}{way}" for level in range(module.num_layers) for way in ways for one in inputs]


def _projections(module: nn.MultiheadAttention) -> Iterator[tuple[str, Tensor]]:
    fused = effective_weight(module, "in_proj_weight")
    if fused is not None:
        yield from split_units(fused, "attention").items()
    else:  # keys or values have a width of their own
        separate = [effective_weight(module, f"{one}_proj_weight") for one in "qkv"]
        yield from zip(PARTS["attention"], cast(list[Tensor], separate), strict=True)
    yield "out", cast(Tensor, effective_weight(module.out_proj, "weight"))
