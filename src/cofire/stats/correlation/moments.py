"""Streaming moments of a layer's units: count, mean and co-moment, mergeable in any order."""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .._base.arrays import Array, as_samples, check_compute_dtype, working_dtype
from .._base.precision import exactly
from .._base.scaling import power_of_two
from .._base.wording import plural
from .all_reduce import all_reduced
from .packed_symmetric import PackedSymmetric
from .pair_tiles import Pairs, Tile
from .row_buffer import WaitingRows
from .row_sample import RowSketch
from .summary import CorrelationSummary, Counts, summarize

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

ROOM = 2.0**32  # how far values may outgrow a unit's scale before float32 squares come near overflow
LIMITS = {torch.float32: 2.0**120, torch.float64: 2.0**1000}  # of a scale, so that its inverse is not out of range
SNAP = 16 * torch.finfo(torch.float64).eps
_SETTLING = Lock()


class Moments:
    r"""Count, mean and co-moment of the units of a layer, over samples that come in batches.

    .. math:: n, \quad \bar x, \quad C_{ij} = \\sum_k (x_{ki} - \bar x_i)(x_{kj} - \bar x_j)

    Rows gather in a small buffer; when it is full its moments, taken about its own mean, are merged into the state
    (Chan's formula). The state is float64 whatever comes in; only the upper triangle of C is kept, in blocks, and
    each unit is measured from the first value seen and in a power of two of its own, so neither a large offset nor
    a tiny scale costs anything and a constant unit has variance exactly 0.

    Args:
        compute_dtype: type of the products, ``torch.float64`` or ``torch.float32`` (correlations about 4e-8 off, half
            the time). The sums are float64 either way.

    A NaN or infinity, or a sum beyond the range of float64, makes its unit's numbers NaN and leaves the other units
    alone. With fewer than two samples every second moment is NaN. State lives on the device of the first batch. Any
    number of threads may read and add, as long as none updates.

    Example:
        >>> import torch
        >>> m = Moments()
        >>> for batch in torch.randn(10, 100, 3, generator=torch.Generator().manual_seed(0)):
        ...     m = m.update(batch)
        >>> m.count, m.correlation().shape
        (1000, torch.Size([3, 3]))
        >>> (m + m).count
        2000

    References: Chan, Golub, LeVeque 1979; Schubert, Gertz 2018.
    """

    def __init__(self, *, compute_dtype: torch.dtype = torch.float64) -> None:
        self.compute_dtype = check_compute_dtype(compute_dtype)
        self.n_units = 0
        self._count = 0
        self._waiting: WaitingRows | None = None
        self._begin(torch.empty(0, dtype=torch.float64, device="cpu"))

    def __getstate__(self) -> dict[str, Any]:
        """For a copy, or to pickle: settled, so that nobody who reads meanwhile changes anything."""
        self._settle()
        return self.__dict__.copy()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """A copy, or unpickled: to be updated anywhere, though it be made in inference mode."""
        made_in_inference_mode = torch.is_inference_mode_enabled()
        with torch.inference_mode(False):
            self.__dict__.update(deepcopy(state) if made_in_inference_mode else state)

    def __repr__(self) -> str:
        of = f"count={self.count:,}, n_units={self.n_units:,}" if self.n_units else "nothing yet"
        return f"Moments({of}, compute_dtype={self.compute_dtype}, device={str(self._shift.device)!r})"

    @property
    def count(self) -> int:
        """Number of samples, exact."""
        return self._count

    def update(self, x: Array) -> "Moments":
        """Take in a batch and return the state to go on with (this one, changed in place).

        Args:
            x: samples, shape (n_samples, n_units); torch or numpy, any real type. An empty batch changes nothing.

        Raises:
            ValueError: if ``x`` is not a real matrix or its number of units differs from before.
        """
        samples = as_samples(x)
        if self.n_units and samples.shape[1] != self.n_units:
            raise ValueError(f"x has {plural(samples.shape[1], 'unit')}, but the batches before had {self.n_units}")
        if len(samples):
            with exactly(samples.device):
                if not self.n_units:
                    self._begin(samples[0].double())
                self._sketch.add(samples, self.count)
                self._take(samples)
        return self

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of samples together; neither operand changes."""
        if not isinstance(other, Moments):
            return NotImplemented
        if not (self.n_units and other.n_units):
            return deepcopy(self if self.n_units else other)
        if self.n_units != other.n_units:
            raise ValueError(f"cannot merge moments of {plural(self.n_units, 'unit')} with moments of {other.n_units}")
        self._settle()
        other._settle()
        merged = deepcopy(self)
        with exactly(self._shift.device):
            merged._merge(deepcopy(other))
        return merged

    def all_reduce(self, group: "ProcessGroup | None" = None) -> "Moments":
        """Moments of the samples of all processes together, the same on each; this state does not change.

        Sums are reduced, nothing is gathered but the few sketched rows: co-moments about the common mean (float64),
        counts and means. A process without samples takes part. Every process of the group must call it.

        Args:
            group: a ``torch.distributed`` process group, by default all processes.

        Raises:
            ValueError: on every process, if they hold different numbers of units.
            RuntimeError: if ``torch.distributed`` is not initialized.
        """
        self._settle()
        with exactly(self._shift.device):
            return all_reduced(deepcopy(self), group)

    def mean(self) -> Tensor:
        """Mean of each unit, float64, shape (n_units,); NaN for one that met a NaN or an infinity."""
        self._settle()
        mean = self._shift + self._mean
        return torch.where(mean.isfinite(), mean, torch.nan)

    def variance(self) -> Tensor:
        """Variance of each unit with 1/(n - 1), float64, shape (n_units,); exactly 0 for a constant unit."""
        return self._scaled_variance() * self._scale.square()

    def covariance(self) -> Tensor:
        """Covariance with 1/(n - 1), float64, shape (n_units, n_units)."""
        self._settle()
        scale = self._scale
        return self._comoment.assembled(lambda c, i, j: c / self._freedom * scale[i, None] * scale[j])

    def correlation(self) -> Tensor:
        """Pearson correlation, float64, shape (n_units, n_units).

        NaN for constant and non-finite units; 1 on the diagonal elsewhere; never outside [-1, 1]. Values within
        3.6e-15 of ±1, which rounding cannot tell from it, are ±1.
        """
        norm = torch.where(self.defined_units(), self._norm(), torch.nan)
        whole = self._comoment.assembled(lambda c, i, j: _snapped(c / norm[i, None] / norm[j]))
        whole.diagonal().copy_(norm / norm)
        return whole

    def summary(self) -> CorrelationSummary:
        """Neuronal correlation with its noise floor and interval: see :func:`neuronal_correlation`."""
        rows = self._standardized_rows()
        with exactly(rows.device):
            return summarize(self._pairs(), self._counts(), rows)

    def quartiles(self) -> Tensor:
        """Lower quartile, median and upper quartile of abs(rho) over pairs, shape (3,)."""
        return self._pairs().quartiles()

    def histogram(self, bins: int = 50) -> Tensor:
        """Counts of abs(rho) over pairs in equal bins on [0, 1], int64, shape (bins,)."""
        return self._pairs().histogram(bins)

    def strongest_partner(self) -> tuple[Tensor, Tensor]:
        """For each unit its correlation of largest magnitude and the unit it is with (NaN and -1 where undefined)."""
        return self._pairs().strongest_partner()

    def constant_units(self) -> Tensor:
        """Which units never varied, bool, shape (n_units,); none before the second sample."""
        return self._scaled_variance() == 0

    def defined_units(self) -> Tensor:
        """Which units have a correlation: finite and not constant, bool, shape (n_units,)."""
        return self._scaled_variance() > 0

    def _begin(self, first: Tensor) -> None:
        """Set up an empty state measured from the values ``first``."""
        self.n_units = len(first)
        self._shift = first.clone()
        self._mean, self._scale = torch.zeros_like(first), torch.zeros_like(first)
        self._comoment = PackedSymmetric(self.n_units, first.device)
        self._sketch = RowSketch(self.n_units)

    def _take(self, samples: Tensor) -> None:
        """Let rows wait, and fold those that wait into the state each time there is no more space."""
        work = working_dtype(samples.dtype, self.compute_dtype)
        if self._waiting is not None and self._waiting.dtype != work:
            self._settle()
        waiting = self._waiting = self._waiting or WaitingRows(self._comoment, work, self.compute_dtype)
        for start in _cuts(len(samples), waiting.space, waiting.capacity):
            rows = samples[start : start + waiting.space]
            waiting.take(rows, self._shift)
            self._count += len(rows)
            if not waiting.space:
                self._fold(waiting)

    def _settle(self) -> None:
        """Fold the waiting rows into the state and let their memory go; of several threads that read, one does."""
        if self._waiting is None:
            return
        with _SETTLING, exactly(self._shift.device):
            if self._waiting is not None and self._waiting.count:
                self._fold(self._waiting)
            self._waiting = None

    def _fold(self, waiting: WaitingRows) -> None:
        """Merge the moments of the waiting rows into the state.

        With m the mean of the new rows and m̄ that of the old ones, the co-moments differ from the sum of both by
        n_new·n_old/(n_new + n_old)·(m - m̄)(m - m̄)ᵀ, which a row √(...)·(m - m̄) adds in the same product.
        """
        n_new, n_old = waiting.count, self._count - waiting.count
        center, spread = waiting.center()
        coarse = center.to(waiting.dtype).double()
        mean = center + (self._shift.to(waiting.dtype).double() - self._shift)
        step = mean - self._mean if n_old else torch.zeros_like(mean)
        scale = self._grown_scale(torch.maximum(spread, step.abs()), LIMITS[waiting.dtype])
        waiting.scale_down(center - coarse, scale)
        waiting.fold(step / scale * math.sqrt(n_new * n_old / (n_new + n_old)))
        self._mean += step * (n_new / (n_new + n_old)) if n_old else mean

    def _grown_scale(self, spread: Tensor, limit: float) -> Tensor:
        """The units' scales, set anew where ``spread`` outgrew them, as divisors (1 where there is none yet)."""
        old = self._scale
        grown = torch.where(spread > old * ROOM, power_of_two(spread), old)
        self._scale = torch.where(grown > 0, grown.clamp(1 / limit, limit), 0.0)
        divisor = torch.where(self._scale == 0, 1.0, self._scale)
        if old.any() and not torch.equal(self._scale, old):
            self._comoment.rescale(torch.where(self._scale == old, 1.0, old / divisor))
        return divisor

    def _merge(self, other: "Moments") -> None:
        """Take in another settled state, which is used up."""
        device, weight = self._shift.device, math.sqrt(self.count * other.count / (self.count + other.count))
        step = (other._shift.to(device) - self._shift) + (other._mean.to(device) - self._mean)
        scales = (self._scale, other._scale.to(device), power_of_two(step))
        scale = torch.stack(scales).amax(0)
        divisor = torch.where(scale == 0, 1.0, scale)
        for state in (self, other):
            state._comoment.rescale((state._scale.to(device) / divisor).to(state._shift.device))
        self._comoment.add(other._comoment)
        self._comoment.add_outer(step / divisor * weight)
        self._mean += step * (other.count / (self.count + other.count))
        self._scale, self._count = scale, self.count + other.count
        self._sketch = self._sketch + other._sketch

    @property
    def _freedom(self) -> float:
        return self._count - 1 if self._count > 1 else math.nan

    def _scaled_variance(self) -> Tensor:
        self._settle()
        return self._comoment.diagonal() / self._freedom

    def _norm(self) -> Tensor:
        """Root of each unit's own co-moment, in its scale."""
        return (self._scaled_variance() * self._freedom).sqrt()

    def _pairs(self) -> Pairs:
        defined = self.defined_units()
        inverse = torch.where(defined, 1 / self._norm(), 0.0).to(self.compute_dtype)
        poisoned = bool(self._scaled_variance().isnan().any())

        inverse = self._comoment.padded(inverse)

        def tiles() -> Iterator[Tile]:
            room = inverse.new_empty(self._comoment.width, self._comoment.width)
            for comoment, (i, j) in zip(self._comoment.tiles, self._comoment.places, strict=True):
                values = room.copy_(comoment).mul_(inverse[i][:, None]).mul_(inverse[j])
                values = values.nan_to_num_(0.0) if poisoned else values
                yield Tile(i * self._comoment.width, j * self._comoment.width, values)

        return Pairs(tiles, defined)

    def _standardized_rows(self) -> Tensor:
        """The sketched rows, standardized; 0 for undefined units."""
        center, undefined = self.mean(), ~self.defined_units()
        rows = self._sketch.rows().to(device=center.device, dtype=torch.float64, copy=True)
        rows.sub_(center).div_(self._scale).div_(self._scaled_variance().sqrt())
        return rows.masked_fill_(undefined, 0.0).to(self.compute_dtype)

    def _counts(self) -> Counts:
        variance = self._scaled_variance()
        return Counts(
            n_samples=self.count,
            n_units=self.n_units,
            n_constant=int((variance == 0).sum()),
            n_nonfinite=int(self.mean().isnan().sum()),
        )


def _cuts(length: int, first: int, size: int) -> list[int]:
    """Where to cut ``length`` rows so that the first piece has ``first`` of them and the others ``size``."""
    return [0, *range(first, length, size)] if length > first else [0]


def _snapped(rho: Tensor) -> Tensor:
    return torch.where(rho.abs() > 1 - SNAP, rho.sign(), rho)
