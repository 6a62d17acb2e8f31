"""What a number is at the end of training, and what it would be at the paper's end.

A network that has hardly begun to learn has hardly changed, so a short run could pass 'hardly changes' for no good
reason. Where training was shorter than the paper's, the number must also hold where its slope over the logarithm of
the epochs, from halfway to the end, leads it by the paper's end. And a short run may refute it only if it no longer
moves towards what the claim says.
"""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..framework.claim_table import Table
from ..framework.estimates import Values, combined, differences, mean_of, shared
from ..framework.verdicts import Part, part

EPOCHS, RATE, BATCH = 300, 0.001, 32
N_TRAIN = {"mnist": 60_000, "cifar10": 50_000}


@dataclass(frozen=True)
class Late:
    """A number late in training.

    Attributes:
        end: at the last epoch.
        half: at the epoch nearest to half of that.
        paper: where it would be at the paper's last epoch; the same as ``end`` if training was as long.
        share: how far training went, as a share of the paper's.
    """

    end: Values
    half: Values
    paper: Values
    share: float

    def then(self, function: Callable[..., float], *others: "Late") -> "Late":
        """Apply a function to this and other numbers, repetition by repetition, of those that all have."""
        all_ = self, *others
        end, half, paper = (
            combined(function, *shared(*(getattr(one, moment) for one in all_))) for moment in ("end", "half", "paper")
        )
        return Late(end, half, paper, min(one.share for one in all_))

    def parts(self, name: str, note: str, *, sample: str, below: bool = True, reduced: str = "") -> Mapping[str, Part]:
        """Return the number as part of a claim; with a second one, at the paper's end, if training was shorter.

        Args:
            name: name of the part.
            note: what the number is.
            sample: see `Part`.
            below: whether the claim says that the number is low.
            reduced: why the number cannot refute a claim, however long training was.
        """
        towards = min if below else max
        trend = mean_of(combined(lambda moved: towards(0.0, moved), differences(self.end, self.half)))
        found = {name: part(self.end, note, sample=sample, trend=None if reduced else trend, reduced=reduced)}
        if self.share < 1:
            told = f"{note}; by its slope, {EPOCHS} epochs of the paper's"
            short = f"training went {100 * self.share:.0f} % as far as the paper's"
            found[f"{name}, later"] = part(self.paper, told, sample=sample, censored=short)
        return found


def late(read: Callable[[Table], Values], table: Table) -> Late:
    """Return a number late in training.

    Args:
        read: rows of one epoch → the number for each repetition.
        table: rows of one network's whole training.
    """
    end, half = table.last(), table.near(0.5)
    values = read(end), read(half)
    ratio = max(end.column("epoch")) / max(1, *half.column("epoch")) if end else 1.0
    share = trained_share(table)
    doublings = math.log(1 / share) / math.log(ratio) if ratio > 1 and share < 1 else 0.0
    paper = combined(lambda a, b: a + doublings * (a - b), *values)
    return Late(*values, paper, share)


def trained_share(table: Table) -> float:
    """Return how far training went, rate times steps, as a share of the paper's; at most 1.

    Example:
        >>> settings = {"data": "mnist", "n_train": 60_000, "learning_rate": 0.001, "batch_size": 32, "epochs": 30}
        >>> trained_share(Table([settings])), trained_share(Table([settings | {"learning_rate": 0.1}]))
        (0.1, 1.0)
    """
    shares = [1.0]
    for one in table:
        if one.get("data") in N_TRAIN:
            steps = one["epochs"] * min(one["n_train"], N_TRAIN[one["data"]]) / one["batch_size"]
            shares.append(steps * one["learning_rate"] / (EPOCHS * RATE * N_TRAIN[one["data"]] / BATCH))
    return round(min(shares), 6)


def slope_over(widths: list[int], values: tuple[float, ...], *, floor: float) -> float:
    """Return the slope of log(value) over log(width) by least squares; values below a floor count as it.

    Example:
        >>> round(slope_over([10, 100, 1000], (1.0, 0.1, 0.01), floor=1e-9), 6)
        -1.0
    """
    x = [math.log(width) for width in widths]
    y = [math.log(max(value, floor)) if math.isfinite(value) else math.nan for value in values]
    center = sum(x) / len(x)
    return sum((a - center) * b for a, b in zip(x, y, strict=True)) / sum((a - center) ** 2 for a in x)


def correlation(a: list[float], b: list[float]) -> float:
    """Return Pearson's correlation of two series, without pairs that lack a number; NaN if it has no value.

    Example:
        >>> round(correlation([0.0, 1.0, 2.0, math.nan], [1.0, 0.5, 0.0, 3.0]), 6)
        -1.0
    """
    pairs = [pair for pair in zip(a, b, strict=True) if all(map(math.isfinite, pair))]
    try:
        return statistics.correlation(*zip(*pairs, strict=True))
    except (statistics.StatisticsError, TypeError):  # too few pairs, or a constant series
        return math.nan
