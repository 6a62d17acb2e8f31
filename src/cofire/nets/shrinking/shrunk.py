"""What `shrink` returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn


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
