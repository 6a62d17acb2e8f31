"""One state from the states of all processes of a group, by sums alone."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from .._base.scaling import power_of_two
from .moment_state import MomentState, empty_state, set_scale
from .row_sample import RowSketch

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


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
    if not state.n_units:
        state = empty_state(torch.zeros(n_units, dtype=torch.float64, device=ranks.device))
    total, share = sum(counts), state.count / sum(counts)
    first = next(rank for rank, count in enumerate(counts) if count)
    shift = ranks.sum(state.shift if ranks.rank == first else torch.zeros_like(state.shift))
    own = (state.shift - shift) + state.mean if state.count else torch.zeros_like(shift)
    mean = ranks.sum(own * share)
    step = own - mean if state.count else torch.zeros_like(own)
    divisor = set_scale(state, ranks.largest(torch.maximum(state.scale, power_of_two(step))))
    state.comoment.add_outer(step / divisor * state.count**0.5)
    ranks.sum(state.comoment.tiles)
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

    def stacked(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all processes, shape (size, ...), as a sum of zeros and one's own."""
        everyone = tensor.new_zeros(self.size, *tensor.shape)
        everyone[self.rank] = tensor
        return self.sum(everyone)


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
    priority = np.full(most, -1, dtype=np.int64)
    priority[: len(sketch.priority)] = (sketch.priority >> np.uint64(1)).astype(np.int64)
    everyone = ranks.stacked(torch.from_numpy(priority).to(ranks.device)).cpu().numpy().ravel()
    present = np.flatnonzero(everyone >= 0)
    chosen = present[np.argsort(everyone[present], kind="stable")[:most]]
    rows = torch.zeros(len(chosen), sketch.n_units, dtype=torch.float64, device=ranks.device)
    for place, origin in enumerate(chosen):
        if origin // most == ranks.rank:
            rows[place] = sketch.rows()[origin % most].double()
    joined = RowSketch(sketch.n_units)
    joined.keep(everyone[chosen].astype(np.uint64) << np.uint64(1), ranks.sum(rows))
    return joined
