"""The numbers by which a layer can be judged, each under one name."""

from collections.abc import Callable, Mapping
from math import nan
from typing import TypeAlias

from .layer_redundancy import LayerRedundancy

Quantity: TypeAlias = Callable[[LayerRedundancy], float]


def _of_correlation(read: Callable[..., float]) -> Quantity:
    return lambda layer: read(layer.activations.correlation) if layer.activations else nan


def _of_weights(read: Callable[..., float]) -> Quantity:
    return lambda layer: read(layer.weights) if layer.weights else nan


QUANTITIES: Mapping[str, tuple[str, Quantity]] = {
    "nc": ("mean |ρ| over pairs of units", _of_correlation(lambda found: found.mean_abs)),
    "nc_debiased": ("the same without what noise adds", _of_correlation(lambda found: found.debiased)),
    "nc_low": ("lower end of its 95 % interval", _of_correlation(lambda found: found.interval[0])),
    "nc_high": ("upper end of its 95 % interval", _of_correlation(lambda found: found.interval[1])),
    "wc": ("mean |cosine| over pairs of weight vectors", _of_weights(lambda found: found.mean_abs)),
    "copies": ("share of units that copy another", lambda layer: layer.n_copies / (layer.sampled or layer.n_units)),
    "constant": ("share of constant units", lambda layer: layer.n_constant / (layer.sampled or layer.n_units)),
    "superfluous": ("share of units that could go", lambda layer: layer.superfluous_share),
}
"""What each is, and how it is had of a layer: NaN where it was not measured or is not defined."""

OF_PAIRS = frozenset({"nc", "nc_debiased", "nc_low", "nc_high", "wc"})
"""Those that a layer of one unit has not."""

OF_ACTIVATIONS = frozenset({"nc", "nc_debiased", "nc_low", "nc_high"})
"""Those that need data."""


def measured(layer: LayerRedundancy, name: str) -> bool:
    """Whether what the quantity is of was measured at all in a layer."""
    if name in OF_PAIRS and layer.n_units < 2:
        return False
    if name in OF_ACTIVATIONS:
        return layer.activations is not None
    return layer.weights is not None if name == "wc" else True
