"""The parts of a finding, and the phrases that findings share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..data.formatting import listing, plural
from ..data.run_view import Layer

MOST_NAMED = 4
LONGEST = 60

Level = Literal["act", "watch", "note"]
Points = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing: a headline, the numbers behind it by layer, how they were taken, and what to do."""

    kind: str
    level: Level
    headline: str
    points: Points
    remark: str = ""
    advice: str = ""


def about(
    kind: str,
    level: Level,
    headline: str,
    layers: Sequence[Layer],
    describe: Callable[[Layer], str],
    remark: str = "",
    advice: str = "",
) -> list[Finding]:
    """Return one finding about some layers, or none if there are no layers.

    Args:
        kind: what the finding is about, for tests and JSON.
        level: how urgent it is.
        headline: ends before the names of the layers, which are added.
        layers: the most important first.
        describe: puts the numbers of one layer into words.
        remark: how the numbers were taken.
        advice: what to do.
    """
    points = listed([layer.name for layer in layers[:MOST_NAMED]], map(describe, layers), len(layers) - MOST_NAMED)
    return [Finding(kind, level, f"{headline} {names(layers)}", points, remark, advice)] if layers else []


def listed(layers: Sequence[str], texts: Iterable[str], rest: int) -> Points:
    """Return the texts of the first layers by name, and how many more layers there are."""
    points = tuple(zip(layers, texts, strict=False))
    return (*points, ("…", f"{plural(rest, 'more layer')}")) if rest > 0 else points


def by_urgency(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings sorted by level, those that need action first."""
    order = {"act": 0, "watch": 1, "note": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def names(layers: Sequence[Layer]) -> str:
    """Return the names of layers, or how many there are."""
    return named([layer.name for layer in layers], MOST_NAMED)


def named(layers: Sequence[str], most: int) -> str:
    """Return the names of layers if they are few and short enough for a headline, or else how many there are.

    Example:
        >>> named(["fc1", "fc2"], 4), named(["encoder.layers.0.attention.output.dense"] * 2, 4)
        ('fc1 and fc2', '2 layers')
    """
    text = listing(layers, most)
    few = len(layers) <= most and (len(text) <= LONGEST or len(layers) == 1)
    return text if few else plural(len(layers), "layer")


def spread(values: Sequence[float], describe: Callable[[float], str]) -> str:
    """Return the lowest and the highest of some values in words, or a single one if they read the same."""
    low, high = describe(min(values)), describe(max(values))
    return low if low == high else f"{low} to {high}"
