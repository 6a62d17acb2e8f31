"""The parts of a finding, and the phrases that findings share."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ..data.formatting import listing, plural

MOST_NAMED = 4
LONGEST = 60

Level = Literal["act", "watch", "note"]
Points = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing: a headline, the numbers behind it by layer, how they were taken, and what to do.

    ``command`` is a command line that does what ``advice`` says, to be copied whole.
    """

    kind: str
    level: Level
    headline: str
    points: Points
    remark: str = ""
    advice: str = ""
    command: str = ""


@cache
def _sentences() -> Mapping[str, Mapping[str, str]]:
    text = files("cofire.reports").joinpath("findings", "sentences.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def about(
    key: str, level: Level, points: Iterable[tuple[str, str]], *, most: int = MOST_NAMED, **filled: object
) -> list[Finding]:
    """Return one finding about some layers, or none if there are no layers.

    Args:
        key: its entry in ``sentences.toml``, which has the headline, the remark on how the numbers were taken, the
            advice, and its kind if that is not the key.
        level: how urgent it is.
        points: name and numbers of each layer, the most important first.
        most: number of layers to name.
        **filled: values for the places in the sentences.
    """
    points = list(points)
    if not points:
        return []
    text = _sentences()[key]
    headline, remark, advice = (text.get(part, "").format(**filled) for part in ("headline", "remark", "advice"))
    rest = [("…", f"{plural(len(points) - most, 'more layer')}")] if len(points) > most else []
    title = f"{headline} {named([name for name, _ in points], most)}"
    return [Finding(text.get("kind", key), level, title, (*points[:most], *rest), remark, advice)]


def by_urgency(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings sorted by level, those that need action first."""
    order = {"act": 0, "watch": 1, "note": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


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
