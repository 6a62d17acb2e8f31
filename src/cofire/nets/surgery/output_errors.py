"""How far outputs move: sums over batches, and what comes of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class OutputError:
    """How far the output of a layer, or of a network, moves.

    Attributes:
        rms: root of the mean square over samples and units; a layer's output is taken before its activation function.
        relative: that over the standard deviation of the output; NaN where the output does not vary.
    """

    rms: float
    relative: float


@dataclass
class ErrorSums:
    """Sum of squares of what moved, and the output's variance by units, in float64."""

    square: float = 0.0
    entries: int = 0
    _parts: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)

    def add(self, moved: Tensor, output: Tensor) -> None:
        """Rows (n_samples, n_units) of one batch."""
        self.square += float(moved.double().square().sum())
        self.entries += moved.numel()
        exact = output.double()
        center = exact.mean(0)
        self._parts.append((len(exact), center, (exact - center).square().sum(0)))

    def variance(self) -> float:
        """Variance of the output over samples, on average over its units."""
        counts = torch.tensor([count for count, _, _ in self._parts], dtype=torch.float64)
        centers = torch.stack([center.cpu() for _, center, _ in self._parts])
        within = torch.stack([square.cpu() for _, _, square in self._parts]).sum(0)
        mean = counts @ centers / counts.sum()
        return float(((within + counts @ (centers - mean).square()) / counts.sum()).mean())


def combined(sums: Sequence[ErrorSums]) -> OutputError:
    """The error over all batches and all of some outputs."""
    entries = sum(one.entries for one in sums)
    if not entries:
        return OutputError(math.nan, math.nan)
    rms = math.sqrt(sum(one.square for one in sums) / entries)
    spread = math.sqrt(sum(one.entries * one.variance() for one in sums if one.entries) / entries)
    return OutputError(rms, rms / spread if spread > 0 else math.nan)
