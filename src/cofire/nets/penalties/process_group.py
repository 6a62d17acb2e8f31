"""The processes over which a batch is spread: this one alone, or all of a group."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


class Ranks:
    """One process, whose batch is whole. Every method but `total` is outside autograd."""

    alone = True
    size = 1

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensor over processes."""
        return tensor

    def count(self, n: int, device: torch.device) -> int:
        """Return the sum of a number over processes."""
        return n

    def reference(self, x: Tensor) -> Tensor:
        """Return one sample, (1, n_units), or the maximum of several, the same on every process.

        For a constant unit it is exactly the unit's value. Empty for an empty batch.
        """
        return x[:1]

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensor over processes, with a gradient."""
        return tensor


class Together(Ranks):
    """The processes of a group, which must all call the same methods in the same order."""

    alone = False

    def __init__(self, group: "dist.ProcessGroup | None") -> None:
        self._group = group
        self.size = dist.get_world_size(group)

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensor over processes."""
        return self._reduced(tensor, dist.ReduceOp.SUM)

    def count(self, n: int, device: torch.device) -> int:
        """Return the sum of a number over processes; waits for the device."""
        return int(self.sum(torch.tensor(n, device=device)))

    def reference(self, x: Tensor) -> Tensor:
        """Return the maximum of the processes' first samples."""
        # a process without samples takes part with the lowest value
        first = x[:1] if len(x) else x.new_full((1, x.shape[1]), -torch.inf)
        return self._reduced(first, dist.ReduceOp.MAX)

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensor over processes, with a gradient."""
        return _Total.apply(tensor, self)  # type: ignore[return-value]  # apply is untyped

    def _reduced(self, tensor: Tensor, op: "dist.ReduceOp.RedOpType") -> Tensor:
        tensor = tensor.clone(memory_format=torch.contiguous_format)  # all_reduce writes to its argument
        dist.all_reduce(tensor, op, group=self._group)
        return tensor


class _Total(Function):
    """A sum over processes, after which all of them compute the same.

    DistributedDataParallel averages gradients over processes. The gradient of each contribution to the sum must
    therefore count ``size`` times, or the average would be too small by that factor.
    """

    @staticmethod
    def forward(ctx, tensor: Tensor, ranks: Together) -> Tensor:
        ctx.size = ranks.size
        return ranks.sum(tensor)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.size, None


def ranks_of(synchronize: "bool | dist.ProcessGroup") -> Ranks:
    """Return this process (False), all processes (True) or those of a group; this one if none are running."""
    running = dist.is_available() and dist.is_initialized()
    if synchronize is False or not running:
        return Ranks()
    return Together(None if synchronize is True else synchronize)
