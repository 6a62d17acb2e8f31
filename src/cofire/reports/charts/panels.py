"""The quantities that are drawn over training."""

from collections.abc import Iterable
from math import inf

from ...stats._base.quantities import QUANTITIES, Quantity

DRAWN = (
    *("nc", "wc", "epsilon", "dependence", "nonlinear_excess", "total_correlation"),
    *(name for name in QUANTITIES if name.startswith("entropy_")),
)
"""Names in the order of the charts. Other known quantities are drawn in the same chart, as a floor, or not at all."""
SENT = (*DRAWN, "nc_debiased", "nc_low", "nc_high", "nc_noise_floor", "n_units", "n_constant")
"""The known quantities that charts and tables of the page show. Those that a user defined are sent as well."""


def panels(recorded: Iterable[str]) -> list[Quantity]:
    """Return the quantities to draw, those that a user defined last.

    Args:
        recorded: the names of all quantities that layers have.

    Example:
        >>> [quantity.title for quantity in panels(["my_measure", "nc_low", "nc"])]
        ['Neuronal correlation', 'my_measure']
    """
    recorded = list(dict.fromkeys(recorded))
    unknown = [name for name in recorded if name not in QUANTITIES]
    known = [QUANTITIES[name] for name in DRAWN if name in recorded]
    return known + [
        Quantity(name, name, "As the measure recorded it.", low=-inf, top=inf, source="both", zero_means_none=False)
        for name in unknown
    ]
