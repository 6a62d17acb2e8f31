"""One state from the states of all processes of a group, by sums alone."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from .._base.scaling import power_of_two
from .row_sample import RowSketch

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from .moments import Moments


def all_reduced(state: "Moments", group: "ProcessGroup | None") -> "Moments":
    """The settled ``state``, which is used up, with the samples of all other processes in ``group``."""
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError("torch.distributed is not initialized; call torch.distributed.init_process_group first")
    ranks = _Ranks(group, state._shift.device)
    n_units = _agreed_units(ranks, state.n_units)
    if n_units and not state.n_units:
        state._begin(torch.zeros(n_units, dtype=torch.float64, device=ranks.device))
    if n_units:
        _join(ranks, state)
    return state


class _Ranks:
    """The collectives that are needed, on the device that the backend wants."""

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
        """The tensors of all processes, shape (size, ...), as a sum of zeros and one's own."""
        everyone = tensor.new_zeros(self.size, *tensor.shape)
        everyone[self.rank] = tensor
        return self.sum(everyone)


def _agreed_units(ranks: _Ranks, n_units: int) -> int:
    """The number of units of all processes that have samples; 0 if none has."""
    every = ranks.stacked(torch.tensor(n_units, device=ranks.device)).tolist()
    found = sorted({n for n in every if n})
    if len(found) > 1:
        raise ValueError(f"processes hold moments of different layers: numbers of units by rank are {every}")
    return found[0] if found else 0


def _join(ranks: _Ranks, state: "Moments") -> None:
    """Bring all states to one shift and one scale, then add counts, means and co-moments about the common mean."""
    counts = ranks.stacked(torch.tensor(state.count, device=ranks.device)).tolist()
    total, share = sum(counts), state.count / sum(counts)
    first = next(rank for rank, count in enumerate(counts) if count)
    shift = ranks.sum(state._shift if ranks.rank == first else torch.zeros_like(state._shift))
    own = (state._shift - shift) + state._mean if state.count else torch.zeros_like(shift)
    mean = ranks.sum(own * share)
    step = own - mean if state.count else torch.zeros_like(own)
    scale = ranks.largest(torch.maximum(state._scale, power_of_two(step)))
    divisor = torch.where(scale == 0, 1.0, scale)
    state._comoment.rescale(state._scale / divisor)
    state._comoment.add_outer(step / divisor * state.count**0.5)
    ranks.sum(state._comoment.tiles)
    state._shift, state._mean, state._scale, state._count = shift, mean, scale, total
    state._sketch = _joined_sketch(ranks, state._sketch)


def _joined_sketch(ranks: _Ranks, sketch: RowSketch) -> RowSketch:
    """The rows that a sketch of all processes' rows keeps; only those travel."""
    most = sketch.most
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
