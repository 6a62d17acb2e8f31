"""The page of a shrunken network: what each size costs, the plan layer by layer, and how to load it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import ClassVar

from torch import nn

from ...nets.shrinking import Point, Saved, Shrunk
from ..charts.tradeoff import Mark, Tradeoff, tradeoff
from ..data.formatting import by_reason, count, number, percent
from ..data.shrink_rows import LayerRow, curve_rows, error_text, headline, layer_rows
from .html import rendered, written

MEANINGS = (
    (
        "Error, measured",
        "The root mean square of the outputs' change over held-out samples and outputs, as a share of the outputs' "
        "standard deviation.",
    ),
    (
        "Error, predicted",
        "The same to first order, before the smaller network was built, from weights fitted layer by layer. It leaves "
        "out what fitting later layers again gains.",
    ),
)


@dataclass(frozen=True, eq=False)
class Shrinking:
    """A shrunken network as a page shows it.

    Attributes:
        target: what was shrunk, as the user named it.
        model: the network as it was.
        shrunk: the smaller one with its costs.
        saved: what was written.
        command: what makes it again.
        made: how it was made, as names and text.
    """

    target: str
    model: nn.Module
    shrunk: Shrunk
    saved: Saved
    command: str
    made: Mapping[str, str]
    meanings: ClassVar = MEANINGS

    @property
    def headline(self) -> str:
        """Return the result in one sentence."""
        return headline(self.shrunk).replace(" %", "\N{NO-BREAK SPACE}%")

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the few numbers that head the page."""
        shrunk = self.shrunk
        before, after = shrunk.n_parameters
        facts = [
            ("parameters", f"{count(before)} → {count(after)}"),
            *([("multiplications stay", percent(shrunk.share))] if shrunk.per == "flops" else []),
            ("error, measured", error_text(shrunk.measured)),
            ("error, predicted", error_text(shrunk.predicted)),
        ]
        if shrunk.score is not None:
            facts.append(("score", f"{shrunk.score[0]:.4g} → {shrunk.score[1]:.4g}"))
        return [*facts, ("samples to fit, to measure", " + ".join(map(count, shrunk.n_samples)))]

    @cached_property
    def rows(self) -> list[LayerRow]:
        """Return the layers that were cut, in the order of the network."""
        return layer_rows(self.model, self.shrunk)

    @property
    def left(self) -> dict[str, list[str]]:
        """Return the layers that were left, by reason."""
        return by_reason(self.shrunk.left)

    @property
    def notes(self) -> list[str]:
        """Return the notes on the network and on its files."""
        return [*self.shrunk.notes, *self.saved.notes]

    @property
    def what(self) -> str:
        """Return what the shares are of."""
        return "multiplications" if self.shrunk.per == "flops" else "parameters"

    @property
    def curve(self) -> list[Point]:
        """Return the points of the curve of which anything is known."""
        return curve_rows(self.shrunk)

    @property
    def figures(self) -> list[Tradeoff]:
        """Return the curve of errors, and that of scores if there is one."""
        curve = self.curve
        predicted = tuple((one.share, nan if one.predicted is None else one.predicted) for one in curve)
        measured = tuple((one.share, nan if one.measured is None else one.measured) for one in curve)
        built = [point for point in measured if point[1] == point[1]]
        whole = ((1.0, 0.0),) if any(one.predicted is not None for one in curve) else ()
        marks = (
            Mark("predicted", "hue-0", (*whole, *predicted)),
            Mark("measured", "hue-1", measured, joined=len(built) > 1),
        )
        note = "How far the outputs move, in percent of their standard deviation."
        figures = [Tradeoff("Error", note, marks, error_text)]
        if self.shrunk.score is not None:
            scores = tuple((one.share, nan if one.score is None else one.score) for one in curve)
            whole = (1.0, self.shrunk.score[0])
            figures.append(
                Tradeoff(
                    "Score",
                    "On samples that no choice saw.",
                    (Mark("score", "hue-2", (whole, *scores)),),
                    number,
                    False,
                )
            )
        return figures


def write_shrinking(shrinking: Shrinking, path: str | Path) -> Path:
    """Write the page of a shrunken network as a single HTML file that opens offline.

    Args:
        shrinking: what to show.
        path: the file to write; it is replaced only once the page is complete.

    Returns:
        The path written to.

    Raises:
        OSError: if the page cannot be written.
    """
    return written(rendered("shrunk.html", page=shrinking, error_text=error_text, tradeoff=tradeoff), path)
