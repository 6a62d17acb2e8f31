"""The error of outputs, summed over batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class OutputError:
    """How far the output of a layer, or of a network, moves.

    Attributes:
        rms: root of the mean square over samples and units; for a layer, before its activation function.
        relative: ``rms`` over the standard deviation of the output; NaN if the output does not vary.
    """

    rms: float
    relative: float


@dataclass
class ErrorSums:
    """Sum of squared changes, and the output's variance by units, in float64."""

    square: float = 0.0
    entries: int = 0
    _parts: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)

    def add(self, moved: Tensor, output: Tensor) -> None:
        """Add the rows (n_samples, n_units) of one batch."""
        self.square += float(moved.double().square().sum())
        self.entries += moved.numel()
        exact = output.double()
        center = exact.mean(0)
        self._parts.append((len(exact), center, (exact - center).square().sum(0)))

    def variance(self) -> float:
        """Return the variance of the output over samples, averaged over its units.

        Where batches differ in the number of units, as in that of tokens, those of one number have means of their own.
        """
        total = 0.0
        for width in {len(center) for _, center, _ in self._parts}:
            parts = [part for part in self._parts if len(part[1]) == width]
            counts = torch.tensor([count for count, _, _ in parts], dtype=torch.float64)
            centers = torch.stack([center.cpu() for _, center, _ in parts])
            within = torch.stack([square.cpu() for _, _, square in parts]).sum(0)
            # Within batches plus between them. Sums of squares alone would cancel where the mean is large.
            mean = counts @ centers / counts.sum()
            total += float((within + counts @ (centers - mean).square()).sum())
        return total / self.entries


def combined(sums: Sequence[ErrorSums]) -> OutputError:
    """Return the error over all batches and all of several outputs."""
    entries = sum(one.entries for one in sums)
    if not entries:
        return OutputError(math.nan, math.nan)
    rms = math.sqrt(sum(one.square for one in sums) / entries)
    spread = math.sqrt(sum(one.entries * one.variance() for one in sums if one.entries) / entries)
    return OutputError(rms, rms / spread if spread > 0 else math.nan)
