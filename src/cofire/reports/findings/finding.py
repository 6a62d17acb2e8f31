"""What a finding is made of, and the words that findings share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..data.formatting import listing, plural
from ..data.run_view import Layer

MOST_NAMED = 4
LONGEST = 60

Level = Literal["act", "watch", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing: a headline, the numbers behind it by layer, and what to do (may be empty)."""

    kind: str
    level: Level
    headline: str
    points: tuple[tuple[str, str], ...]
    remark: str = ""
    advice: str = ""


def points(layers: Sequence[Layer], say: Callable[[Layer], str]) -> tuple[tuple[str, str], ...]:
    """What is said of each layer, the first few only."""
    told = tuple((layer.name, say(layer)) for layer in layers[:MOST_NAMED])
    rest = len(layers) - MOST_NAMED
    return (*told, ("…", f"{plural(rest, 'layer')} more")) if rest > 0 else told


def names(layers: Sequence[Layer]) -> str:
    """The layers by name, or how many there are."""
    return named([layer.name for layer in layers], MOST_NAMED)


def named(layers: Sequence[str], most: int) -> str:
    """Layers by name where they are few and together short enough for a headline, or how many there are.

    Example:
        >>> named(["fc1", "fc2"], 4), named(["encoder.layers.0.attention.output.dense"] * 2, 4)
        ('fc1 and fc2', '2 layers')
    """
    told = listing(layers, most)
    few = len(layers) <= most and (len(told) <= LONGEST or len(layers) == 1)
    return told if few else plural(len(layers), "layer")


def spread(values: Sequence[float], say: Callable[[float], str]) -> str:
    """From the lowest to the highest of some values, in words; one where these are the same."""
    low, high = say(min(values)), say(max(values))
    return low if low == high else f"{low} to {high}"
