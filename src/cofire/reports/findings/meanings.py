"""What the numbers of a page mean, and their thresholds: names with sentences, for its list of definitions."""

from ...nets.redundancy import LEAST_INPUTS
from ...stats._base.definitions import COPY, NEARLY_ZERO, UNEXPLAINED
from ...stats._base.quantities import QUANTITIES
from ..data.formatting import percent
from ..data.trends import CLEAR, FAINT
from .run_findings import STRONG

Meaning = tuple[str, str]


def of_quantity(name: str, more: str = "") -> Meaning:
    """Return a recorded quantity with its symbol, its definition and what a high value means.

    Example:
        >>> of_quantity("n_units")
        ('Units', 'Units of the layer.')
    """
    quantity = QUANTITIES[name]
    symbol = f", {quantity.symbol}" if quantity.symbol.lower() not in quantity.title.lower() else ""
    return quantity.title + symbol, " ".join(filter(None, (quantity.meaning, more)))


INTERVAL: Meaning = (
    "95 % interval",
    "It covers the sampling of inputs, not training again with another seed. Samples that depend on one another "
    "(positions of an image, tokens of a text) make it too narrow.",
)
FIRE_TOGETHER: Meaning = (
    "Fire together",
    f"The whole interval of the debiased correlation lies above {CLEAR}; from {STRONG} on, the finding asks for "
    f"action. Below {FAINT}, units are close to uncorrelated. All are conventions.",
)
CORRELATION: tuple[Meaning, ...] = (
    of_quantity("nc_debiased", "0 means uncorrelated, 1 that all units are copies."),
    INTERVAL,
    FIRE_TOGETHER,
    of_quantity("nc", "Noise included: compare it with the noise floor."),
    of_quantity("nc_noise_floor", "√(2/(π(n − 1))) for n samples."),
)
CONSTANT: Meaning = ("Constant", "Units whose variance over the samples is exactly 0: they carry nothing.")
DEAD: Meaning = (
    "Dead",
    f"Units whose incoming weights have a norm below {NEARLY_ZERO:g} of the layer's median, or that the batch norm "
    "behind has switched off: they say nearly the same of every input.",
)
EXPLAINED: Meaning = (
    "Explained",
    "The share of a unit's variance that linear combinations of the others explain; the median over units.",
)
WEIGHT_CORRELATION: Meaning = of_quantity("wc", "Chance gives about √(2/(π m)) for m inputs.")
RANK: Meaning = of_quantity("effective_rank", "By entropy: the exponential of the entropy of the shares instead.")


def copies(threshold: float = COPY, *, by_weights: bool = False) -> Meaning:
    """Return what a copy is."""
    if by_weights:
        text = (
            f"Units whose incoming weights have a |cosine| of at least {threshold:g} with those of one that stays, if "
            "chance does not explain it. Before the activation function they equal it up to scale and shift."
        )
    else:
        text = (
            f"Units whose |ρ| with one that stays is at least {threshold:g}, if chance does not explain it: on these "
            "samples they equal it up to scale and shift."
        )
    return "Copies", text


def width(unexplained: float = UNEXPLAINED) -> Meaning:
    """Return what the recommended width is, for a share of variance that may be left unexplained."""
    return (
        "Recommended width",
        "The fewest units of which all others are linear combinations, so that on average at most "
        f"{percent(unexplained)} of a unit's variance is left unexplained, with its 95 % interval. A dash means that "
        f"there are too few samples, or fewer than {LEAST_INPUTS} inputs.",
    )


COPIES_OF_A_RUN: Meaning = (
    "Copies",
    f"Pairs with |ρ| of at least {COPY}: on these samples one unit equals the other up to scale and shift. Redundant "
    "are all but one unit of each group of copies.",
)
PHASES: Meaning = (
    "Growth, decorrelation",
    "A rise of NC up to a peak, and a fall after it, larger than the differences between neighboring recordings of "
    "this run explain (p below 5 %, corrected for searching the whole series). Another seed may take another course.",
)
INFORMATION: tuple[Meaning, ...] = (
    of_quantity(
        "dependence",
        "Linear or not: how much one unit tells about another. Pairs in which one unit determines the other have "
        "infinite information and are left out. Independent units stay below the shaded line in 95 % of cases; it is "
        "estimated by shuffling samples.",
    ),
    (
        "Information as |ρ|",
        "√(1 − exp(−2I)): the |ρ| of two normal units with mutual information I. The root magnifies noise near 0. The "
        "map of disagreement shows only what is beyond chance.",
    ),
)


def meanings_of_run(with_information: bool) -> tuple[Meaning, ...]:
    """Return what the numbers of a run's report mean, with those of information only where it was measured."""
    return (
        *CORRELATION,
        PHASES,
        *(INFORMATION if with_information else ()),
        WEIGHT_CORRELATION,
        of_quantity("epsilon"),
        CONSTANT,
        COPIES_OF_A_RUN,
    )
