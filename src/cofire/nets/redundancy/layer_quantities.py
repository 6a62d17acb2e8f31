"""The quantities by which a layer of a report can be judged, under the names that cofire.stats defines."""

from collections.abc import Callable, Mapping
from math import nan
from typing import TypeAlias

from ...stats._base.quantities import quantity
from .layer_redundancy import LayerRedundancy

Reader: TypeAlias = Callable[[LayerRedundancy], float]


def _of_correlation(read: Callable[..., float]) -> Reader:
    return lambda layer: read(layer.activations.correlation) if layer.activations else nan


JUDGED: Mapping[str, Reader] = {
    "nc": _of_correlation(lambda found: found.mean_abs),
    "nc_debiased": _of_correlation(lambda found: found.debiased),
    "nc_low": _of_correlation(lambda found: found.interval[0]),
    "nc_high": _of_correlation(lambda found: found.interval[1]),
    "wc": lambda layer: layer.weights.mean_abs if layer.weights else nan,
    "copies": lambda layer: layer.n_copies / layer.n_measured,
    "constant": lambda layer: layer.n_constant / layer.n_measured,
    "superfluous": lambda layer: layer.superfluous_share,
}
"""How to read each quantity from a layer; NaN where it was not measured or is not defined."""


def value_of(layer: LayerRedundancy, name: str) -> float:
    """Return a quantity of a layer; NaN where it was not measured or is not defined.

    Raises:
        ValueError: if there is no such quantity, with a hint at those that look alike.

    Example:
        >>> value_of(LayerRedundancy("fc", 3), "nc_debaised")
        Traceback (most recent call last):
        ...
        ValueError: unknown quantity 'nc_debaised'; did you mean 'nc_debiased'?
    """
    return JUDGED[quantity(name, JUDGED).name](layer)


def measured(layer: LayerRedundancy, name: str) -> bool:
    """Return whether a layer has what the quantity is computed from: activations or weights, and pairs of units.

    Raises:
        ValueError: as for `value_of`.
    """
    wanted = quantity(name, JUDGED)
    if wanted.of_pairs and layer.n_units < 2:
        return False
    by_source = {"activations": layer.activations, "weights": layer.weights}
    return by_source.get(wanted.source, layer) is not None
