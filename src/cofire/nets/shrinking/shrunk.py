"""What `shrink` returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from torch import nn

from ...stats._base.notebook import html_lines, html_table

VERSION = 1
"""Version of what `Shrunk.to_dict` returns; it grows when a name in it changes its meaning or goes."""


@dataclass(frozen=True)
class Point:
    """A point of the curve.

    Attributes:
        share: share of the parameters (or multiplications) that stays.
        predicted: how far the outputs are expected to move: rms over samples and entries, as a share of the outputs'
            standard deviation; None if it can't be predicted.
        measured: how far they move on samples that no choice saw; None where the smaller network was not built.
        score: the score there; None without ``score=``.
    """

    share: float
    predicted: float | None
    measured: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class GroupCut:
    """The cut of one group of units.

    Attributes:
        layers: the layers that make the units.
        n_units: units before.
        kept: those that stay, ascending; unit i of the smaller layer is ``kept[i]`` of the old one.
        predicted: how far the network's outputs are expected to move by this cut alone, as a share of their standard
            deviation, in the samples that the cut was made with.
    """

    layers: tuple[str, ...]
    n_units: int
    kept: tuple[int, ...]
    predicted: float


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A smaller network, and what it costs.

    Attributes:
        model: a plain module of the same class; the original is untouched.
        plan: JSON: what `apply_plan` needs to make a fresh model of the same class fit the smaller state dict.
        cuts: by group, for those that lost units.
        left: layers that were not cut, with the reason.
        share: share of the parameters (or multiplications) that stays.
        per: what is shared: ``"parameters"`` or ``"flops"``.
        curve: predicted and measured errors by share.
        predicted: how far the outputs were expected to move, see `Point`.
        measured: how far they move.
        score: the score before and after, on samples that no choice saw; None without ``score=``.
        n_parameters: before and after.
        n_samples: how many samples the cut was made with, and measured on.
        notes: what a reader should know, such as readers that saw few samples.
    """

    model: nn.Module
    plan: Mapping[str, Any]
    cuts: Mapping[str, GroupCut]
    left: Mapping[str, str]
    share: float
    per: str
    curve: Sequence[Point]
    predicted: float | None
    measured: float
    score: tuple[float, float] | None
    n_parameters: tuple[int, int]
    n_samples: tuple[int, int]
    notes: Sequence[str] = field(default=())

    def __repr__(self) -> str:
        before, after = self.n_parameters
        score = "" if self.score is None else f", score={self.score[0]:.4g} -> {self.score[1]:.4g}"
        return (
            f"Shrunk(parameters={before:,} -> {after:,}, measured={self.measured:.3g}, "
            f"predicted={'unknown' if self.predicted is None else format(self.predicted, '.3g')}{score}, "
            f"cuts={len(self.cuts)}, left={len(self.left)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all but the model as plain values for JSON, with None for numbers that are not finite.

        Errors are rms changes of the outputs, as shares of their standard deviation.

        Example:
            >>> import torch
            >>> from cofire.nets.shrinking import shrink
            >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
            >>> found = shrink(model, torch.randn(300, 4), keep=0.5).to_dict()
            >>> found["version"], found["parameters"], found["groups"][0]["name"], found["left"]
            (1, {'before': 114, 'after': 51}, '0', {'2': "its units are the network's outputs"})
        """
        before, after = self.n_parameters
        fit, check = self.n_samples
        return {
            "version": VERSION,
            "parameters": {"before": before, "after": after},
            "share": _finite(self.share),
            "per": self.per,
            "predicted_error": _finite(self.predicted),
            "measured_error": _finite(self.measured),
            "score": None
            if self.score is None
            else dict(zip(("before", "after"), map(_finite, self.score), strict=True)),
            "samples": {"fit": fit, "check": check},
            "groups": [
                {
                    "name": name,
                    "layers": list(cut.layers),
                    "units": cut.n_units,
                    "kept": list(cut.kept),
                    "predicted_error": _finite(cut.predicted),
                }
                for name, cut in self.cuts.items()
            ],
            "left": dict(self.left),
            "curve": [
                {
                    "share": _finite(one.share),
                    "predicted_error": _finite(one.predicted),
                    "measured_error": _finite(one.measured),
                    "score": _finite(one.score),
                }
                for one in self.curve
            ],
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        before, after = self.n_parameters
        moved = "unknown" if self.predicted is None else f"{100 * self.predicted:.3g} %"
        said = [
            f"Parameters: {before:,} before, {after:,} after.",
            f"The outputs move by {100 * self.measured:.3g} % of their standard deviation, {moved} predicted.",
            *([] if self.score is None else [f"Score: {self.score[0]:.4g} before, {self.score[1]:.4g} after."]),
            *self.notes,
        ]
        rows = [(name, f"{cut.n_units:,}", f"{len(cut.kept):,}") for name, cut in self.cuts.items()]
        return html_lines(said) + (html_table(("Group", "Units", "Kept"), rows) if rows else "")


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
