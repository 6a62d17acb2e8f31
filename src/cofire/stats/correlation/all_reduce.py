"""One state from the states of all processes of a group, by sums alone."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from .._base.scaling import power_of_two
from .moment_state import MomentState, empty_state, set_scale
from .row_sample import RowSketch, hashed

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

WHOLE_BITS = 62  # of an int64 without its sign, less one for rounding


def all_reduced(state: MomentState, group: "ProcessGroup | None") -> MomentState:
    """Return the state of the samples of all processes in ``group``; ``state`` is used up.

    All states are brought to one shift and one scale; then counts, means and co-moments about the common mean add.

    Raises:
        RuntimeError: if ``torch.distributed`` is not initialized.
        ValueError: on every process, if they hold different numbers of units.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError("torch.distributed is not initialized; call torch.distributed.init_process_group first")
    ranks = _Ranks(group, state.shift.device)
    counts, n_units = _agree(ranks, state)
    if not n_units:
        return state
    if not state.count:
        state = empty_state(torch.zeros(n_units, dtype=torch.float64, device=ranks.device))
    total = sum(counts)
    if not total:
        return state
    shift = _common_shift(ranks, state)
    own = (state.shift - shift) + state.mean if state.count else torch.zeros_like(shift)
    mean = ranks.exact_sum(own * (state.count / total), ranks.largest(_magnitude(own)))
    step = own - mean if state.count else torch.zeros_like(own)
    comoment = state.comoment
    # scales as large as the deviations of all samples, so that whole numbers of one unit fit all co-moments
    spread = state.scale * (comoment.diagonal() / max(state.count, 1)).sqrt()
    scales = [state.scale, power_of_two(step), power_of_two(spread)]
    divisor = set_scale(state, ranks.largest(torch.stack(scales).amax(0)))
    comoment.add_outer(step / divisor * state.count**0.5)
    poor = ranks.largest((~(own.isfinite() & comoment.diagonal().isfinite())).double()) > 0
    comoment.tiles.copy_(ranks.exact_sum(comoment.tiles, ranks.largest(_magnitude(comoment.tiles).amax())))
    if poor.any():
        comoment.add_outer(torch.where(poor, torch.nan, 0.0).double())
        mean.masked_fill_(poor, torch.nan)
    state.shift, state.mean, state.count = shift, mean, total
    state.sketch = _joined_sketch(ranks, state.sketch)
    return state


class _Ranks:
    """The collectives needed, on the device that the backend wants."""

    def __init__(self, group: "ProcessGroup | None", device: torch.device) -> None:
        self.group = group
        on_gpu = dist.get_backend(group) == "nccl"
        self.device = torch.device("cuda", torch.cuda.current_device()) if on_gpu and device.type == "cpu" else device
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def sum(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor, dist.ReduceOp.SUM, group=self.group)
        return tensor

    def largest(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self.group)
        return tensor

    def exact_sum(self, tensor: Tensor, largest: Tensor) -> Tensor:
        """Return the sum of the tensor over processes, the same bits in whatever order they are added.

        Floats would round differently in another order, so whole numbers are added, of a unit so small that a sum of
        ``largest``, from every process, takes all of an int64. Values that are not finite count as 0.

        Args:
            tensor: float64.
            largest: the largest magnitude of any process, a scalar or of the tensor's shape.
        """
        exponent = torch.frexp(largest).exponent + self.size.bit_length() - WHOLE_BITS
        # two steps keep each factor in the range of float64
        half = exponent // 2
        whole = torch.ldexp(torch.ldexp(tensor, -half), half - exponent).round_()
        total = self.sum(whole.nan_to_num_(0.0, 0.0, 0.0).to(torch.int64))
        return torch.ldexp(torch.ldexp(total.double(), half), exponent - half)

    def stacked(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all processes, shape (size, ...), as a sum of zeros and one's own."""
        everyone = tensor.new_zeros(self.size, *tensor.shape)
        everyone[self.rank] = tensor
        return self.sum(everyone)


def _common_shift(ranks: _Ranks, state: MomentState) -> Tensor:
    """Return what all processes measure deviations from: the smallest of their first samples, of any order of them."""
    known = state.shift.isfinite() & (state.count > 0)
    shift = -ranks.largest(torch.where(known, -state.shift, -torch.inf))
    return torch.where(shift.isfinite(), shift, 0.0)


def _magnitude(tensor: Tensor) -> Tensor:
    """Return abs(tensor), 0 where it is not finite: a maximum with a NaN depends on the order."""
    return tensor.abs().nan_to_num_(0.0, 0.0, 0.0)


def _agree(ranks: _Ranks, state: MomentState) -> tuple[list[int], int]:
    """Return the counts of all processes, and the number of units of those that have samples; 0 if none has."""
    everyone = ranks.stacked(torch.tensor([state.count, state.n_units], device=ranks.device))
    counts, n_units = everyone.T.tolist()
    found = sorted({n for n in n_units if n})
    if len(found) > 1:
        raise ValueError(f"processes hold moments of different layers: numbers of units by rank are {n_units}")
    return counts, found[0] if found else 0


def _joined_sketch(ranks: _Ranks, sketch: RowSketch) -> RowSketch:
    """Return the sketch of all processes' rows; only the rows that it keeps travel."""
    most = sketch.most
    # collectives sum int64, not uint64: priorities lose their last bit, and -1 marks places without a row
    keys = np.full((2, most), -1, dtype=np.int64)
    keys[:, : len(sketch.priority)] = np.stack([sketch.priority, _contents(sketch)]) >> np.uint64(1)
    priority, content = ranks.stacked(torch.from_numpy(keys).to(ranks.device)).cpu().numpy().transpose(1, 0, 2)
    priority, content = priority.ravel(), content.ravel()
    present = np.flatnonzero(priority >= 0)
    # rows at the same place of two streams have the same priority; then their contents decide, not their processes
    chosen = present[np.lexsort((content[present], priority[present]))[:most]]
    rows = torch.zeros(len(chosen), sketch.n_units, dtype=torch.float64, device=ranks.device)
    for place, origin in enumerate(chosen):
        if origin // most == ranks.rank:
            rows[place] = sketch.rows()[origin % most].double()
    joined = RowSketch(sketch.n_units)
    joined.keep(priority[chosen].astype(np.uint64) << np.uint64(1), ranks.sum(rows))
    return joined


def _contents(sketch: RowSketch) -> np.ndarray:
    """Return a number for each kept row that depends on its values alone, uint64, shape (n_rows,)."""
    bits = sketch.rows().double().cpu().numpy().view(np.uint64)
    place = hashed(np.arange(bits.shape[1], dtype=np.uint64))
    return hashed(hashed(bits ^ place).sum(axis=1, dtype=np.uint64))
