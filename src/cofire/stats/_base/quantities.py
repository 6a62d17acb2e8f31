"""Every recorded quantity, defined once as plain data.

Measures, tables, charts, gates, loggers, pages and the page's script take names, titles, units and digits from here,
so that a number reads the same wherever it is shown. To add a quantity, add a line to ``_TABLE``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Literal

Source = Literal["activations", "weights", "both"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that cofire reports for a layer.

    Attributes:
        name: the key in rows, JSON, gates and loggers.
        title: a short heading.
        note: one sentence that defines it.
        symbol: what stands in a narrow column, if the literature has a symbol.
        high: what a high value means, as a clause: "A high value means that …".
        unit: ``"nats"``, ``"units"``, ``"pairs"``, or ``""`` for a pure number.
        digits: decimal places shown; 0 for whole numbers.
        low, top: the range, inclusive; a value outside it is an error in the statistic or the record.
        floor: name of the quantity that says what chance alone would give; ``""`` if there is none.
        interval: names of the quantities that hold its 95 % interval.
        source: what it is computed from.
        of_pairs: whether it needs at least two units.
        zero_means_none: whether 0 stands for "nothing of it", so that charts start there.
        main: whether it is the number that stands for its measure where there is room for one, as in loggers.
    """

    name: str
    title: str
    note: str
    symbol: str = ""
    high: str = ""
    unit: str = ""
    digits: int = 3
    low: float = 0.0
    top: float = 1.0
    floor: str = ""
    interval: tuple[str, str] | None = None
    source: Source = "activations"
    of_pairs: bool = False
    zero_means_none: bool = True
    main: bool = False

    @property
    def label(self) -> str:
        """The symbol, or the title where there is none."""
        return self.symbol or self.title

    @property
    def meaning(self) -> str:
        """The definition, the unit of information, and what a high value means."""
        unit = " In nats." if self.unit == "nats" else ""
        return f"{self.note}{unit}" + (f" A high value means that {self.high}." if self.high else "")


_of_pairs = partial(Quantity, of_pairs=True)
_of_weights = partial(Quantity, of_pairs=True, source="weights")
_nats = partial(Quantity, unit="nats", low=-inf, top=inf)
_entropy = partial(_nats, zero_means_none=False, main=True, high="the units vary more freely")
_count = partial(Quantity, digits=0, top=inf, unit="units")
_REPEAT = "units repeat one another and the layer is redundant"
_LEAST_DEBIASED = -2.1  # three samples: docs/decisions/0002
_COULD_GO = "many units could go"

# fmt: off
_TABLE = (
    _of_pairs("nc", "Neuronal correlation", "Mean |ρ| over pairs of units.",
              symbol="NC", high=_REPEAT, floor="nc_noise_floor"),
    _of_pairs("nc_debiased", "Neuronal correlation, debiased", "Mean |ρ| over pairs of units, less what noise adds.",
              symbol="Debiased", high=_REPEAT, low=_LEAST_DEBIASED, interval=("nc_low", "nc_high"), main=True),
    _of_pairs("nc_low", "Lower end of the interval", "Lower end of the 95 % interval of the true mean |ρ|.",
              low=_LEAST_DEBIASED),
    _of_pairs("nc_high", "Upper end of the interval", "Upper end of the 95 % interval of the true mean |ρ|."),
    _of_pairs("nc_noise_floor", "Noise floor", "Mean |ρ| that independent units would show.", symbol="Floor"),
    _of_pairs("nc_rms", "Root mean square correlation", "Root of the mean ρ² over pairs of units.", high=_REPEAT),
    _of_pairs("nc_unit_error", "Standard error from choosing units",
              "Standard error of NC when only some units are measured."),
    _of_pairs("nc_mean", "Mean correlation", "Mean ρ over pairs of units, with its sign.",
              high="units rise and fall together", low=-1.0),
    _count("n_units", "Units", "Units of the layer."),
    _count("n_units_seen", "Units measured", "Units that were measured where a layer has too many."),
    _count("n_constant", "Constant", "Units that never changed.", high="units are dead"),
    _count("n_nonfinite", "Not finite", "Units that met a NaN or an infinity.", high="training diverges"),
    _of_pairs("epsilon", "Change by the activation function, ε", "|NC after − NC before| the activation function.",
              symbol="ε", high="the activation function changes how units correlate", main=True),
    _of_weights("wc", "Weight correlation", "Mean |cosine| between the incoming weights of two units.",
                symbol="WC", high="units have similar weights", main=True),
    _of_weights("wc_signed", "Mean cosine", "Mean cosine between the incoming weights of two units.", low=-1.0),
    _of_weights("wc_lower_quartile", "Lower quartile of |cosine|", "Lower quartile of |cosine| over pairs of units."),
    _of_weights("wc_median", "Median |cosine|", "Median of |cosine| over pairs of units."),
    _of_weights("wc_upper_quartile", "Upper quartile of |cosine|", "Upper quartile of |cosine| over pairs of units."),
    _count("wc_left_out", "Weights left out", "Units whose weights are all zero or not finite.", source="weights"),
    _nats("dependence", "Dependence score, ι", "Mean mutual information over pairs of units; copies left out.",
          symbol="ι", of_pairs=True, floor="dependence_threshold",
          high="units share information, even without correlation", main=True),
    _nats("dependence_standard_error", "Standard error of ι", "Standard error of the dependence score."),
    _nats("dependence_threshold", "Independent units", "Dependence score that independent units stay below."),
    _count("dependence_pairs", "Pairs measured", "Pairs of units behind the dependence score.", unit="pairs"),
    _count("dependence_determined", "Determined pairs", "Pairs in which one unit determines the other.", unit="pairs"),
    _nats("nonlinear_excess", "Dependence beyond correlation",
          "Mean information over pairs of units, less that of normal pairs with the same ρ.",
          of_pairs=True, high="units depend on one another in ways that correlation misses"),
    _nats("total_correlation", "Total correlation", "Dependence of every order between the units.",
          of_pairs=True, high="the units are far from independent", main=True),
    _entropy("entropy_gaussian", "Entropy, as if normal", "An upper bound that sees correlation only."),
    _entropy("entropy_knn", "Entropy by nearest neighbors", "Biased by nats from 10 units on."),
    _entropy("entropy_knn_whitened", "Entropy by nearest neighbors, whitened", "Biased by nats from 20 units on."),
    _entropy("entropy_kde_upper", "Entropy with noise, upper bound", "Upper bound of Kolchinsky and Tracey."),
    _entropy("entropy_kde_lower", "Entropy with noise, lower bound", "Lower bound of Kolchinsky and Tracey."),
    _entropy("entropy_kde_leave_one_out", "Entropy by kernels", "Leave-one-out density; biased upwards."),
    _entropy("entropy_binned", "Binned entropy", low=0.0, zero_means_none=True,
             note="Discrete; the logarithm of the number of samples once each has a cell of its own."),
    _entropy("entropy_independence_bound", "Entropy as if independent", "Sum of the entropies of single units."),
    _entropy("entropy_embedded", "Entropy by kernel embedding", "By the estimator that the run states."),
    _count("width", "Recommended width", symbol="Width", interval=("width_low", "width_high"), main=True,
           note="Fewest units of which all others are linear combinations, within 5 % of variance."),
    _count("width_low", "Lowest width", "Lower end of the 95 % interval of the recommended width."),
    _count("width_high", "Highest width", "Upper end of the 95 % interval of the recommended width."),
    Quantity("effective_rank", "Effective rank", symbol="Rank", top=inf, digits=1, unit="dimensions", source="both",
             high="units vary in many directions",
             note="Participation ratio: of the correlations' eigenvalues, debiased, or of squared singular values."),
    Quantity("copies", "Copies", "Share of units that copy another.", high=_COULD_GO, source="both"),
    Quantity("constant", "Constant share", "Share of units that never change.", high="units are dead", source="both"),
    Quantity("superfluous", "Redundant share", "Share of units that could go.", high=_COULD_GO, source="both"),
    Quantity("overhead", "Overhead", "Share of training time that the tracker took.", high="recording is slow"),
)
# fmt: on

QUANTITIES = MappingProxyType({one.name: one for one in _TABLE})
"""All quantities by name, in the order in which tables show them."""

SUMMARY = ("n_units", "n_constant", "nc", "nc_debiased", "nc_noise_floor", "wc")
"""The recorded quantities that sum up a layer where there is room for few."""


def quantity(name: str, among: Iterable[str] = QUANTITIES) -> Quantity:
    """Return the quantity of that name.

    Args:
        name: as in rows and gates.
        among: the names that make sense in the caller's place; by default all.

    Raises:
        ValueError: if there is none; the message suggests names that look alike.

    Example:
        >>> quantity("nc").title, quantity("dependence").unit
        ('Neuronal correlation', 'nats')
        >>> quantity("nc_debaised")
        Traceback (most recent call last):
        ...
        ValueError: unknown quantity 'nc_debaised'; did you mean 'nc_debiased'?
    """
    names = list(among)
    if name in names and name in QUANTITIES:
        return QUANTITIES[name]
    alike = get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, alike))}?" if alike else f"known are {', '.join(names)}"
    raise ValueError(f"unknown quantity {name!r}; {hint}")
