"""The processes over which a batch is spread: one's own alone, or all of a group."""

from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


class Ranks(Protocol):
    """What the statistics of a batch need of the other processes; every method but `total` is outside autograd."""

    alone: bool

    @property
    def size(self) -> int:
        """How many processes."""
        ...

    def sum(self, tensor: Tensor) -> Tensor:
        """Added over processes."""
        ...

    def count(self, n: int, device: torch.device) -> int:
        """A number added over processes."""
        ...

    def reference(self, x: Tensor) -> Tensor:
        """One sample's values or near it, (1, n_units), the same on every process: for a constant unit its value."""
        ...

    def total(self, tensor: Tensor) -> Tensor:
        """Added over processes, with a gradient."""
        ...


class Alone:
    """One process."""

    alone = True
    size = 1

    def sum(self, tensor: Tensor) -> Tensor:
        """As it is."""
        return tensor

    def count(self, n: int, device: torch.device) -> int:
        """As it is."""
        return n

    def reference(self, x: Tensor) -> Tensor:
        """The first sample; of an empty batch, none."""
        return x[:1]

    def total(self, tensor: Tensor) -> Tensor:
        """As it is."""
        return tensor


class Together:
    """The processes of a group, which must all call in the same order."""

    alone = False

    def __init__(self, group: "dist.ProcessGroup | None") -> None:
        self._group = group

    def sum(self, tensor: Tensor) -> Tensor:
        """All-reduced."""
        return self._reduced(tensor, dist.ReduceOp.SUM)

    def count(self, n: int, device: torch.device) -> int:
        """All-reduced; waits for the device."""
        return int(self.sum(torch.tensor(n, device=device)))

    def reference(self, x: Tensor) -> Tensor:
        """The largest first sample."""
        first = x[:1] if len(x) else x.new_full((1, x.shape[1]), -torch.inf)
        return self._reduced(first, dist.ReduceOp.MAX)

    def total(self, tensor: Tensor) -> Tensor:
        """All-reduced; see `_Total`."""
        return _Total.apply(tensor, self)  # type: ignore[return-value]  # apply is untyped

    @property
    def size(self) -> int:
        """How many processes."""
        return dist.get_world_size(self._group)

    def _reduced(self, tensor: Tensor, op: "dist.ReduceOp.RedOpType") -> Tensor:
        tensor = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(tensor, op, group=self._group)
        return tensor


class _Total(Function):
    """A sum over processes, behind which all of them compute the same.

    DistributedDataParallel averages the gradients of its processes. What each contributes to the sum must
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
    """One's own process (False), all (True) or those of a group; without ``torch.distributed``, one's own."""
    running = dist.is_available() and dist.is_initialized()
    if synchronize is False or not running:
        return Alone()
    return Together(None if synchronize is True else synchronize)
