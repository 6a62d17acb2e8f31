"""Layers that can be cut: where their units are in weights and inputs, and how to keep only some of them."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

Cuttable: TypeAlias = (
    nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS: dict[type[nn.Module], int] = {
    kind: n_axes
    for kinds in ((nn.Conv1d, nn.Conv2d, nn.Conv3d), TRANSPOSED)
    for n_axes, kind in enumerate(kinds, start=1)
}
"""Convolution layers, and their number of position axes."""
CUTTABLE = (nn.Linear, *CONVOLUTIONS)
COUNTS_OF_UNITS = ("num_features", "num_parameters")
PER_UNIT = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Layout:
    """The order of units on an axis of features, which has the shape (before, n_units, after) before flattening.

    It is (1, 1) for plain units, (1, positions) for channels flattened with their positions, and (tokens, 1) for tokens
    flattened with their features.
    """

    before: int = 1
    after: int = 1

    def features(self, units: Tensor, n_units: int) -> Tensor:
        """Return the indices of the units' features."""
        every = torch.arange(self.before * n_units * self.after, device=units.device)
        return every.view(self.before, n_units, self.after)[:, units].flatten()

    def spread(self, values: Tensor) -> Tensor:
        """Turn one value per unit into one per feature."""
        return values[None, :, None].expand(self.before, -1, self.after).flatten()

    def unit_rows(self, features_last: Tensor) -> Tensor:
        """Turn (..., n_features) into (n_samples, n_units), with every position a sample."""
        n_units = features_last.shape[-1] // (self.before * self.after)
        return features_last.unflatten(-1, (self.before, n_units, self.after)).movedim(-2, -1).reshape(-1, n_units)


def n_units(layer: Cuttable) -> int:
    """Return the number of units that a layer puts out."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def n_inputs(layer: Cuttable) -> int:
    """Return the number of features that a layer takes in."""
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def n_features(module: nn.Module) -> int:
    """Return the number of features for which a normalization or a PReLU has parameters."""
    return next(int(getattr(module, name)) for name in COUNTS_OF_UNITS if hasattr(module, name))


def feature_axis(layer: Cuttable) -> int:
    """Return the axis of features in the layer's input and output, counted from the end."""
    return -1 if isinstance(layer, nn.Linear) else -1 - CONVOLUTIONS[type(layer)]


def input_axis(layer: Cuttable) -> int:
    """Return the axis of the weight that belongs to the layer's inputs."""
    return 0 if isinstance(layer, TRANSPOSED) else 1


def takes_constants(layer: Cuttable) -> bool:
    """Return whether a constant input acts like a bias: the layer has one, and no position sees padding instead."""
    if layer.bias is None or isinstance(layer, TRANSPOSED):
        return False
    if isinstance(layer, nn.Linear) or layer.padding_mode != "zeros":
        return True
    if isinstance(layer.padding, str):
        return layer.padding == "valid" or max(layer.kernel_size) == 1
    return max(layer.padding) == 0


def keep_units(layer: Cuttable, units: Tensor) -> None:
    """Keep only these units of a layer."""
    axis = 1 if isinstance(layer, TRANSPOSED) else 0
    set_weight(layer, "weight", layer.weight.detach().index_select(axis, units))
    if layer.bias is not None:
        set_weight(layer, "bias", layer.bias.detach()[units])
    _count(layer, "out", len(units))


def keep_inputs(layer: Cuttable, features: Tensor) -> None:
    """Keep only these inputs of a layer."""
    set_weight(layer, "weight", layer.weight.detach().index_select(input_axis(layer), features))
    _count(layer, "in", len(features))


def keep_features(module: nn.Module, features: Tensor) -> None:
    """Keep only these features of a normalization or a PReLU."""
    for name in PER_UNIT:
        values = getattr(module, name, None)
        if isinstance(values, Tensor):
            set_weight(module, name, values.detach()[features])
    for name in COUNTS_OF_UNITS:
        if hasattr(module, name):
            setattr(module, name, len(features))


def set_weight(module: nn.Module, name: str, values: Tensor) -> None:
    """Replace a parameter or buffer by one of another shape, with the same dtype and requires_grad."""
    old = getattr(module, name)
    new = values.to(old.dtype).contiguous().clone()
    setattr(module, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)


def _count(layer: nn.Module, side: str, number: int) -> None:
    setattr(layer, f"{side}_features" if isinstance(layer, nn.Linear) else f"{side}_channels", number)
