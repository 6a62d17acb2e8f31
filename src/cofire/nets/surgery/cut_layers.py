"""Layers that are cut: where their units are in weights and inputs, and how to keep some of them only."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

Cuttable: TypeAlias = (
    nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
}
CUTTABLE = (nn.Linear, *CONVOLUTIONS)
COUNTS_OF_UNITS = ("num_features", "num_parameters")
PER_UNIT = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Layout:
    """How units lie on an axis of features: for each of ``before`` positions every unit, each at ``after`` positions.

    Plain units are (1, 1); channels flattened with their positions (1, positions); tokens flattened with their
    features (tokens, 1).
    """

    before: int = 1
    after: int = 1

    def features(self, units: Tensor, n_units: int) -> Tensor:
        """Indices of the units' features."""
        every = torch.arange(self.before * n_units * self.after, device=units.device)
        return every.view(self.before, n_units, self.after)[:, units].flatten()

    def spread(self, values: Tensor) -> Tensor:
        """One value for each unit -> one for each feature."""
        return values[None, :, None].expand(self.before, -1, self.after).flatten()

    def unit_rows(self, features_last: Tensor) -> Tensor:
        """(..., n_features) -> (n_samples, n_units), every position a sample."""
        n_units = features_last.shape[-1] // (self.before * self.after)
        return features_last.unflatten(-1, (self.before, n_units, self.after)).movedim(-2, -1).reshape(-1, n_units)


def n_units(layer: Cuttable) -> int:
    """Units that a layer puts out."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def n_inputs(layer: Cuttable) -> int:
    """Features that a layer takes in."""
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def n_features(module: nn.Module) -> int:
    """Features that a normalization or a PReLU has numbers for."""
    return next(int(getattr(module, name)) for name in COUNTS_OF_UNITS if hasattr(module, name))


def feature_axis(layer: Cuttable) -> int:
    """The axis of the layer's input, and of its output, on which features lie; counted from the end."""
    return -1 if isinstance(layer, nn.Linear) else -1 - CONVOLUTIONS[type(layer)]


def input_axis(layer: Cuttable) -> int:
    """The axis of the weight on which the layer's inputs lie."""
    return 0 if isinstance(layer, TRANSPOSED) else 1


def takes_constants(layer: Cuttable) -> bool:
    """Whether a constant input is the same as a bias: there is one, and no position sees padding instead."""
    if layer.bias is None or isinstance(layer, TRANSPOSED):
        return False
    if isinstance(layer, nn.Linear) or layer.padding_mode != "zeros":
        return True
    if isinstance(layer.padding, str):
        return layer.padding == "valid" or max(layer.kernel_size) == 1
    return max(layer.padding) == 0


def keep_units(layer: Cuttable, units: Tensor) -> None:
    """Keep these of the units that a layer puts out."""
    axis = 1 if isinstance(layer, TRANSPOSED) else 0
    set_weight(layer, "weight", layer.weight.detach().index_select(axis, units))
    if layer.bias is not None:
        set_weight(layer, "bias", layer.bias.detach()[units])
    _count(layer, "out", len(units))


def keep_inputs(layer: Cuttable, features: Tensor) -> None:
    """Keep these of the features that a layer takes in."""
    set_weight(layer, "weight", layer.weight.detach().index_select(input_axis(layer), features))
    _count(layer, "in", len(features))


def keep_features(module: nn.Module, features: Tensor) -> None:
    """Keep these of the features that a normalization or a PReLU has numbers for."""
    for name in PER_UNIT:
        values = getattr(module, name, None)
        if isinstance(values, Tensor):
            set_weight(module, name, values.detach()[features])
    for name in COUNTS_OF_UNITS:
        if hasattr(module, name):
            setattr(module, name, len(features))


def set_weight(module: nn.Module, name: str, values: Tensor) -> None:
    """Replace a parameter or buffer by one of another shape, of the same type and wish for gradients."""
    old = getattr(module, name)
    new = values.to(old.dtype).contiguous().clone()
    setattr(module, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)


def _count(layer: nn.Module, side: str, number: int) -> None:
    setattr(layer, f"{side}_features" if isinstance(layer, nn.Linear) else f"{side}_channels", number)
