"""Which of a tracker's numbers go to a logger: few by default, and none that would mislead."""

import warnings
from collections.abc import Iterable, Mapping
from math import nan

from ..nets.layer_names import near
from ..record import NotMeasured, Row
from ..stats._base.quantities import QUANTITIES, Quantity
from ..stats._base.wording import plural
from .metric_names import Names, name

FEWEST_UNITS = 3
FEWEST_SAMPLES = 10
"""With fewer samples, chance alone brings the mean |ρ| of independent units above 0.26."""

SUMMARIES = ("nc_debiased_mean", "nc_debiased_max", "constant")
ALL = "all"

Quantities = str | Iterable[str] | None
Place = Mapping[str, Row]
"""The rows of a layer with the same parameters and mode, by quantity."""


class LoggedNumbers:
    """Picks the numbers of a recording that a logger shows, and names them.

    By default each layer has one number per measure: ``nc_debiased`` for `correlation`, ``wc`` for
    `weight_correlation`, and so on. If layers have ``nc_debiased``, the run has three more:

    - ``nc_debiased_mean``, over layers: whether the network as a whole becomes more redundant.
    - ``nc_debiased_max``, of the most redundant layer: a collapse starts in one layer, which a mean over many hides.
    - ``constant``, the share of all units that never changed: dead units have no correlation, so the other two don't
      see them.

    These cover the latest values of all layers, also of those that are recorded less often. Numbers that cofire doesn't
    define, such as those of your own measures and of ``Tracker.log``, are always logged.

    A value outside its interval is logged as the nearer end: an unbiased estimate of a mean |ρ| near 0 is often below
    it. Unknown values are left out, and so are all that cofire says about a layer with fewer than 3 units or fewer than
    10 samples; a warning says so once per layer.

    Args:
        quantities: the quantities and summaries to log instead, by name, or ``"all"``.
        warns: whether to warn of layers that are left out.

    Raises:
        ValueError: for a name that cofire doesn't know.

    Example:
        >>> numbers = LoggedNumbers()
        >>> numbers([Row("", 1, 0, "fc", name, "{}", 0.5, 100, 0) for name in ("nc", "nc_debiased", "nc_rms")])
        {'cofire/fc/nc_debiased': 0.5, 'cofire/run/nc_debiased_mean': 0.5, 'cofire/run/nc_debiased_max': 0.5}
    """

    def __init__(self, quantities: Quantities = None, *, warns: bool = True) -> None:
        self._wanted = _wanted(quantities)
        self._warns = warns
        self._told: set[str] = set()
        self._names = Names()
        self._run = _Summary()

    def __call__(self, rows: Iterable[Row]) -> dict[str, float]:
        """Return the numbers of one recording by name."""
        logged: dict[str, float] = {}
        left_out: dict[str, str] = {}
        of_run = False
        for (site, *_), place in _places(rows).items():
            known = _known(place)
            logged |= {
                self._names(place[quantity]): value for quantity, value in known.items() if self._shows(quantity)
            }
            reason = _too_small(place) or _too_still(place)
            if reason and any(self._shows(quantity) for quantity in place.keys() - known.keys()):
                left_out[site] = reason
            of_run |= self._run.add(site, place, known)
        self._tell(left_out)
        summary = self._run.values() if of_run else {}
        return logged | {name("", one): value for one, value in summary.items() if self._shows(one)}

    def _shows(self, quantity: str) -> bool:
        if quantity in SUMMARIES:
            return self._wanted is None or quantity in self._wanted
        if quantity not in QUANTITIES:
            return True
        return QUANTITIES[quantity].main if self._wanted is None else quantity in self._wanted

    def _tell(self, left_out: Mapping[str, str]) -> None:
        new = {site: reason for site, reason in left_out.items() if site not in self._told}
        self._told |= new.keys()
        if new and self._warns:
            layers = ", ".join(f"{site or 'the model'} ({reason})" for site, reason in new.items())
            warnings.warn(
                f"nothing is logged for {layers}: at least {FEWEST_UNITS} units that vary and {FEWEST_SAMPLES} samples "
                "are needed; window= pools the samples of several batches",
                NotMeasured,
                stacklevel=3,
            )


class _Summary:
    """The latest values of all layers, and the numbers of the run that follow from them."""

    def __init__(self) -> None:
        self._debiased: dict[str, float] = {}
        self._units: dict[str, tuple[float, int]] = {}

    def add(self, site: str, place: Place, known: Mapping[str, float]) -> bool:
        """Take a layer's values; return whether there were any to take."""
        if "nc_debiased" in place:
            self._debiased.pop(site, None)
            self._units.pop(site, None)
        if "nc_debiased" in known:
            self._debiased[site] = known["nc_debiased"]
        if "n_constant" in known and (n_units := place["n_constant"].n_units):
            self._units[site] = known["n_constant"], n_units
        return "nc_debiased" in place

    def values(self) -> dict[str, float]:
        """Return the summaries that are known."""
        found: dict[str, float] = {}
        if debiased := self._debiased.values():
            found |= {"nc_debiased_mean": sum(debiased) / len(debiased), "nc_debiased_max": max(debiased)}
        if self._units:
            n_constant, n_units = map(sum, zip(*self._units.values(), strict=True))
            found["constant"] = n_constant / n_units
        return found


def _wanted(quantities: Quantities) -> frozenset[str] | None:
    """Return the names to log; None for the default.

    Raises:
        ValueError: for a name that cofire doesn't know.
    """
    if quantities is None:
        return None
    every = list(dict.fromkeys([*SUMMARIES, *QUANTITIES]))
    wanted = [quantities] if isinstance(quantities, str) else list(quantities)
    for one in wanted:
        if one not in [*every, ALL]:
            raise ValueError(f"unknown quantity {one!r}; {near(str(one), [*every, ALL])}")
    return frozenset(every if ALL in wanted else wanted)


def _places(rows: Iterable[Row]) -> dict[tuple[str, str, str], dict[str, Row]]:
    places: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        places.setdefault((row.site, row.parameters, row.mode), {})[row.measure] = row
    return places


def _known(place: Place) -> dict[str, float]:
    """Return what can be said of a layer: values within their range and interval, and numbers of the user's own."""
    small, still = _too_small(place), _too_still(place)
    known: dict[str, float] = {}
    for measure, row in place.items():
        quantity = QUANTITIES.get(measure)
        if quantity is None:
            known[measure] = row.value
        elif not small and not (still and quantity.of_pairs):
            value = _within_interval(row.value, quantity, place)
            if all(quantity.low <= one <= quantity.top for one in (row.value, value)):
                known[measure] = value
    return known


def _within_interval(value: float, quantity: Quantity, place: Place) -> float:
    """Return the nearest value in a quantity's interval; NaN if the interval is recorded but not known."""
    if quantity.interval is None or not place.keys() >= {*quantity.interval}:
        return value
    low, high = (place[end].value for end in quantity.interval)
    return max(low, min(value, high)) if low <= high else nan


def _too_small(place: Place) -> str:
    """Return how few samples or units a layer has, if that is too few to say anything."""
    row = next(iter(place.values()))
    if 0 < row.n_samples < FEWEST_SAMPLES:  # weights have 0, and need none
        return plural(row.n_samples, "sample")
    return plural(row.n_units, "unit") if row.n_units is not None and row.n_units < FEWEST_UNITS else ""


def _too_still(place: Place) -> str:
    """Return how few of a layer's units vary, if that is too few to say anything about pairs."""
    n_units = next(iter(place.values())).n_units
    if n_units is None:
        return ""
    out = sum(place[count].value for count in ("n_constant", "n_nonfinite", "wc_left_out") if count in place)
    few = n_units - out < FEWEST_UNITS
    return f"{n_units - round(out)} of {plural(n_units, 'unit')} vary" if few else ""
