"""The state of streaming moments as plain data, and what can be done with it: fold rows in, merge, read off."""

import math
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from .._base.scaling import power_of_two
from .packed_symmetric import PackedSymmetric
from .row_buffer import RowBuffer
from .row_sample import RowSketch

ROOM = 2.0**32  # how far values may outgrow a unit's scale before float32 squares come near overflow
LIMITS = {torch.float32: 2.0**120, torch.float64: 2.0**1000}  # of a scale, so that its inverse stays in range


@dataclass
class MomentState:
    """Count, mean and co-moment of the units of a layer; vectors are float64, shape (n_units,).

    Each unit is measured from the first value seen and in a power of two of its own, so that neither a large offset nor
    a tiny scale costs digits, and a constant unit has a co-moment of exactly 0.

    Attributes:
        count: number of samples.
        shift: the first sample.
        mean: mean of the samples less ``shift``.
        scale: a power of two about as large as the unit's deviations; 0 for a unit that never varied.
        comoment: sum over samples of the products of deviations from the mean, over the scales of both units.
        sketch: a few of the samples, for standard errors.
    """

    count: int
    shift: Tensor
    mean: Tensor
    scale: Tensor
    comoment: PackedSymmetric
    sketch: RowSketch

    @property
    def n_units(self) -> int:
        """Units of the layer; 0 before the first batch."""
        return len(self.shift)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a variance, count − 1; NaN for fewer than two samples."""
        return self.count - 1 if self.count > 1 else math.nan


def empty_state(first: Tensor) -> MomentState:
    """Return the state without samples that measures values from ``first``, float64, shape (n_units,)."""
    return MomentState(
        count=0,
        shift=first.clone(),
        mean=torch.zeros_like(first),
        scale=torch.zeros_like(first),
        comoment=PackedSymmetric(len(first), first.device),
        sketch=RowSketch(len(first)),
    )


def fold(state: MomentState, rows: RowBuffer) -> None:
    """Merge the buffered rows, which ``state.count`` already includes, into the state and empty the buffer.

    With m the mean of the new rows and m̄ that of the old ones, the co-moment of both differs from the sum of the two
    co-moments by n_new·n_old/(n_new + n_old)·(m − m̄)(m − m̄)ᵀ: one more row √(...)·(m − m̄) in the same product.
    """
    n_new, n_old = rows.count, state.count - rows.count
    center, spread = rows.center()
    coarse = center.to(rows.dtype).double()
    # float32 rows were measured from the rounded shift, so what rounding took off goes back on
    mean = center + (state.shift.to(rows.dtype).double() - state.shift)
    step = mean - state.mean if n_old else torch.zeros_like(mean)
    scale = _grow_scale(state, torch.maximum(spread, step.abs()), LIMITS[rows.dtype])
    rows.scale_down(center - coarse, scale)
    rows.fold(step / scale * math.sqrt(n_new * n_old / (n_new + n_old)))
    state.mean += step * (n_new / (n_new + n_old)) if n_old else mean


def merged(state: MomentState, other: MomentState) -> MomentState:
    """Return the state of both sets of samples, on the device of ``state``; neither changes."""
    state, other = deepcopy(state), deepcopy(other)
    device, total = state.shift.device, state.count + other.count
    step = (other.shift.to(device) - state.shift) + (other.mean.to(device) - state.mean)
    scale = torch.stack([state.scale, other.scale.to(device), power_of_two(step)]).amax(0)
    divisor = set_scale(state, scale)
    set_scale(other, scale.to(other.shift.device))
    state.comoment.add(other.comoment)
    state.comoment.add_outer(step / divisor * math.sqrt(state.count * other.count / total))
    state.mean += step * (other.count / total)
    state.count, state.sketch = total, state.sketch + other.sketch
    return state


def set_scale(state: MomentState, scale: Tensor) -> Tensor:
    """Express the co-moment in new scales; return them as divisors, 1 for units that have none."""
    divisor = torch.where(scale == 0, 1.0, scale)
    state.comoment.rescale(state.scale / divisor)
    state.scale = scale
    return divisor


def mean(state: MomentState) -> Tensor:
    """Return the mean of each unit, shape (n_units,); NaN for one that met a NaN or an infinity, or no sample."""
    mean = state.shift + state.mean
    return torch.where(mean.isfinite() & (state.count > 0), mean, torch.nan)


def scaled_variance(state: MomentState) -> Tensor:
    """Return the variance of each unit over its scale squared, shape (n_units,)."""
    return state.comoment.diagonal() / state.freedom


def standardized_rows(state: MomentState) -> Tensor:
    """Return the sampled rows with mean 0 and variance 1 over all rows, shape (n_rows, n_units); 0 if undefined."""
    variance = scaled_variance(state)
    rows = state.sketch.rows().to(device=state.shift.device, dtype=torch.float64, copy=True)
    rows.sub_(mean(state)).div_(state.scale).div_(variance.sqrt())
    return rows.masked_fill_(~(variance > 0), 0.0)


def _grow_scale(state: MomentState, spread: Tensor, limit: float) -> Tensor:
    """Set anew the scales of units that ``spread`` outgrew; return all scales as divisors."""
    grown = torch.where(spread > state.scale * ROOM, power_of_two(spread), state.scale)
    scale = torch.where(grown > 0, grown.clamp(1 / limit, limit), 0.0)
    # a state that has no scale yet has no co-moment to rescale, and asking for it would fill its memory with zeros
    if state.scale.any() and not torch.equal(scale, state.scale):
        return set_scale(state, scale)
    state.scale = scale
    return torch.where(scale == 0, 1.0, scale)
