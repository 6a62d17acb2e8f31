"""Streaming moments of a layer's units: count, mean and co-moment, mergeable in any order."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .._base.arrays import Array, as_samples, check_compute_dtype, working_dtype
from .._base.definitions import are_dead
from .._base.nan_policy import NanPolicy, check_finite, check_nan_policy, finite_rows, is_finite
from .._base.precision import exactly
from .._base.wording import plural
from .all_reduce import all_reduced
from .moment_state import MomentState, empty_state, fold, mean, merged, scaled_variance, standardized_rows
from .pair_tiles import Pairs, Tile
from .row_buffer import RowBuffer
from .summary import CorrelationSummary, Counts, summarize

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

SNAP = 16 * torch.finfo(torch.float64).eps
_SETTLING = Lock()


class Moments:
    r"""Count, mean and co-moment of the units of a layer, over samples that arrive in batches.

    .. math:: n, \quad \bar x, \quad C_{ij} = \sum_k (x_{ki} - \bar x_i)(x_{kj} - \bar x_j)

    Rows gather in a small buffer. When it is full, their moments about their own mean are merged into the state (Chan's
    formula), a :class:`~cofire.stats.correlation.moment_state.MomentState`: float64 whatever the samples' type, with
    only the upper triangle of C. Large offsets, tiny scales and means that drift cost no digits.

    Args:
        compute_dtype: type of the products, ``torch.float64`` or ``torch.float32`` (single correlations up to 9e-7 off,
            means over pairs about 1e-8, 5e-7 for near copies, in half the time). The sums are float64 either way.

        nan: policy for samples with a NaN or an infinity: "propagate" (see below), "raise", or "omit" (leave them out,
            in all units).

    A NaN or an infinity, or a sum beyond the range of float64, makes its unit's numbers NaN and leaves the other units
    alone. With fewer than two samples every second moment is NaN. The state lives on the device of the first batch. Any
    number of threads may read and add, as long as none updates.

    References: Chan, Golub, LeVeque 1979; Schubert, Gertz 2018.

    Example:
        >>> import torch
        >>> m = Moments()
        >>> for batch in torch.randn(10, 100, 3, generator=torch.Generator().manual_seed(0)):
        ...     m = m.update(batch)
        >>> m.count, m.correlation().shape
        (1000, torch.Size([3, 3]))
        >>> (m + m).count
        2000
    """

    def __init__(self, *, compute_dtype: torch.dtype = torch.float64, nan: NanPolicy = "propagate") -> None:
        self.compute_dtype = check_compute_dtype(compute_dtype)
        check_nan_policy(nan)
        self.nan: NanPolicy = nan
        # its count includes the rows in the buffer, the rest of it doesn't until they are folded in
        self._state = empty_state(torch.empty(0, dtype=torch.float64, device="cpu"))
        self._buffer: RowBuffer | None = None

    @classmethod
    def from_state(
        cls, state: MomentState, *, compute_dtype: torch.dtype = torch.float64, nan: NanPolicy = "propagate"
    ) -> "Moments":
        """Return moments that continue from a state; updating them changes it."""
        moments = cls(compute_dtype=compute_dtype, nan=nan)
        moments._state = state
        return moments

    def __getstate__(self) -> dict[str, Any]:
        """Settle before a copy or pickle is taken, so that threads that read meanwhile change nothing."""
        self.state()
        return self.__dict__.copy()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Make tensors of a copy made in inference mode normal ones, so that it can be updated outside too."""
        made_in_inference_mode = torch.is_inference_mode_enabled()
        with torch.inference_mode(False):
            self.__dict__.update(deepcopy(state) if made_in_inference_mode else state)

    def __repr__(self) -> str:
        seen = f"count={self.count:,}, n_units={self.n_units:,}" if self.n_units else "nothing yet"
        return f"Moments({seen}, compute_dtype={self.compute_dtype}, device={str(self._state.shift.device)!r})"

    @property
    def count(self) -> int:
        """Number of samples, exact."""
        return self._state.count

    @property
    def n_units(self) -> int:
        """Number of units; 0 before the first batch."""
        return self._state.n_units

    def state(self) -> MomentState:
        """Return the state, with all rows folded in; it is not a copy."""
        if self._buffer is not None:
            with _SETTLING, exactly(self._state.shift.device):
                # of several threads that read at once, the first has emptied the buffer when the next one gets here
                if self._buffer is not None and self._buffer.count:
                    fold(self._state, self._buffer)
                self._buffer = None
        return self._state

    def update(self, x: Array) -> "Moments":
        """Take in a batch and return the moments to continue with (these, changed in place).

        Args:
            x: samples, shape (n_samples, n_units); torch or numpy, any real type. An empty batch shows the number of
                units and changes nothing else.

        Raises:
            ValueError: if ``x`` is not a real matrix, its number of units differs from before, or a value is not finite
                and the policy is "raise". The moments are then unchanged.
        """
        samples = as_samples(x)
        if self.n_units and samples.shape[1] != self.n_units:
            raise ValueError(f"x has {plural(samples.shape[1], 'unit')}, but earlier batches had {self.n_units}")
        if self.nan == "raise":
            check_finite(samples)
        elif self.nan == "omit" and not is_finite(samples):
            samples = samples[finite_rows(samples)]
        with exactly(samples.device):
            if not self.count:
                # deviations are measured from the first sample; before it, only the number of units is known
                self._state = empty_state(samples[:1].double().sum(0))
            if len(samples):
                self._state.sketch.add(samples, self.count)
                self._take(samples)
        return self

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of samples together; neither operand changes."""
        if not isinstance(other, Moments):
            return NotImplemented
        if self.n_units != other.n_units and self.n_units and other.n_units:
            raise ValueError(f"cannot merge moments of {plural(self.n_units, 'unit')} with moments of {other.n_units}")
        with exactly(self._state.shift.device):
            both = self.count and other.count
            fuller = max(self, other, key=lambda one: (one.count, one.n_units))  # the first of two that are alike
            state = merged(self.state(), other.state()) if both else deepcopy(fuller.state())
            return Moments.from_state(state, compute_dtype=self.compute_dtype, nan=self.nan)

    def all_reduce(self, group: "ProcessGroup | None" = None) -> "Moments":
        """Return the moments of the samples of all processes, the same on each; these moments don't change.

        Only sums travel (co-moments, means, counts) and a few sampled rows; no process holds the states of all. Sums
        are of whole numbers, so the order of the processes changes no bit of the result. A process without samples
        takes part. Every process of the group must call it.

        Args:
            group: a ``torch.distributed`` process group, by default all processes.

        Raises:
            ValueError: on every process, if they hold different numbers of units.
            RuntimeError: if ``torch.distributed`` is not initialized.
        """
        with exactly(self._state.shift.device):
            state = all_reduced(deepcopy(self.state()), group)
            return Moments.from_state(state, compute_dtype=self.compute_dtype, nan=self.nan)

    def mean(self) -> Tensor:
        """Return the mean of each unit, float64, shape (n_units,); NaN for one that met a NaN or an infinity."""
        return mean(self.state())

    def variance(self) -> Tensor:
        """Return the variance of each unit with 1/(n - 1), float64, shape (n_units,); exactly 0 if constant."""
        return scaled_variance(self.state()) * self._state.scale.square()

    def covariance(self) -> Tensor:
        """Return the covariance with 1/(n - 1), float64, shape (n_units, n_units)."""
        state = self.state()
        scale = state.scale
        return state.comoment.assembled(lambda c, i, j: c / state.freedom * scale[i, None] * scale[j])

    def correlation(self) -> Tensor:
        """Return the Pearson correlation, float64, shape (n_units, n_units).

        NaN for constant and non-finite units; 1 on the diagonal elsewhere; never outside [-1, 1]. Values within
        3.6e-15 of ±1, which is the size of rounding errors, are ±1.
        """
        comoment = self.state().comoment
        norm = torch.where(self.defined_units(), comoment.diagonal().sqrt(), torch.nan)

        def normalized(entries: Tensor, rows: slice, columns: slice) -> Tensor:
            rho = entries / norm[rows, None] / norm[columns]
            return torch.where(rho.abs() > 1 - SNAP, rho.sign(), rho)

        whole = comoment.assembled(normalized)
        whole.diagonal().copy_(norm / norm)
        return whole

    def summary(self) -> CorrelationSummary:
        """Return the neuronal correlation with its noise floor and interval: see :func:`neuronal_correlation`."""
        state = self.state()
        rows = standardized_rows(state).to(self.compute_dtype)
        counts = Counts(
            n_samples=state.count,
            n_units=state.n_units,
            n_constant=int(self.constant_units().sum()),
            n_nonfinite=int(mean(state).isnan().sum()) if state.count else 0,
        )
        with exactly(rows.device):
            return summarize(self._pairs(), counts, rows)

    def quartiles(self) -> Tensor:
        """Return lower quartile, median and upper quartile of abs(rho) over pairs, shape (3,)."""
        return self._pairs().quartiles()

    def histogram(self, bins: int = 50) -> Tensor:
        """Return counts of abs(rho) over pairs in equal bins on [0, 1], int64, shape (bins,)."""
        return self._pairs().histogram(bins)

    def strongest_partner(self) -> tuple[Tensor, Tensor]:
        """Return each unit's correlation of largest magnitude and its partner in it (NaN and -1 where undefined)."""
        return self._pairs().strongest_partner()

    def constant_units(self) -> Tensor:
        """Return which units never varied, bool, shape (n_units,); none before the second sample."""
        return are_dead(scaled_variance(self.state()))

    def defined_units(self) -> Tensor:
        """Return which units have a correlation: finite and not constant, bool, shape (n_units,)."""
        return scaled_variance(self.state()) > 0

    def _take(self, samples: Tensor) -> None:
        """Put rows into the buffer, and fold it into the state whenever it is full."""
        work = working_dtype(samples.dtype, self.compute_dtype)
        if self._buffer is not None and self._buffer.dtype != work:
            self.state()
        state = self._state
        buffer = self._buffer = self._buffer or RowBuffer(state.comoment, work, self.compute_dtype)
        while len(samples):
            rows, samples = samples[: buffer.space], samples[buffer.space :]
            buffer.take(rows, state.shift)
            state.count += len(rows)
            if not buffer.space:
                fold(state, buffer)

    def _pairs(self) -> Pairs:
        comoment, defined = self.state().comoment, self.defined_units()
        norm = comoment.diagonal().sqrt()
        inverse = comoment.padded(torch.where(defined, 1 / norm, 0.0).to(self.compute_dtype))
        poisoned = bool(norm.isnan().any())

        def tiles() -> Iterator[Tile]:
            width = comoment.width
            values = inverse.new_empty(width, width)  # one tile's memory for all: fresh memory costs as much as a pass
            for entries, (i, j) in zip(comoment.tiles, comoment.places, strict=True):
                values.copy_(entries).mul_(inverse[i][:, None]).mul_(inverse[j])
                if poisoned:  # NaN times an inverse of 0 is NaN, and undefined units must be 0
                    values.nan_to_num_(0.0)
                yield Tile(i * width, j * width, values)

        return Pairs(tiles, defined)
