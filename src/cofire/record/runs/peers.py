"""What the processes of a training tell one another when they resume, save and stop."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist

from .processes import n_processes
from .run_directory import WritableRun

T = TypeVar("T")


class Peers:
    """The processes that share a run directory; a single one asks nobody.

    They talk over a group of their own on the CPU, so that asking does not wait for a GPU. All must call each method.

    Args:
        run: the run, as this process has opened it.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    def __init__(self, run: WritableRun) -> None:
        several = run.shared and n_processes() > 1
        self._group = cast("dist.ProcessGroup", dist.new_group(backend="gloo")) if several else None
        self.rank = dist.get_rank() if several else 0
        self.size = n_processes() if several else 1

    @property
    def alone(self) -> bool:
        """Whether there is only one process."""
        return self._group is None

    def largest(self, number: int) -> int:
        """Return the largest of the processes' numbers."""
        if self._group is None:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX, group=self._group)
        return int(shared)

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, in the order of their ranks."""
        if self._group is None:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._group)
        return values

    def from_first(self, compute: Callable[[], T]) -> T:
        """Return what the first process computes; what it raises is an error on all.

        Raises:
            ValueError: on the others, if the first one raised anything.
        """
        if self._group is None:
            return compute()
        told: list[Any] = [None, None]
        error: Exception | None = None
        if self.rank == 0:
            try:
                told[0] = compute()
            except Exception as raised:
                error, told[1] = raised, str(raised)
        dist.broadcast_object_list(told, src=0, group=self._group)
        if error is not None:
            raise error
        if told[1] is not None:
            raise ValueError(f"the first process says: {told[1]}")
        return told[0]
