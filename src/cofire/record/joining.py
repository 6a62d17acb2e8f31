"""A tracker among processes with different numbers of batches."""

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed.algorithms.join import Joinable, JoinHook

if TYPE_CHECKING:
    from .tracker import Tracker


class Joining(Joinable):
    """A tracker in ``torch.distributed.algorithms.Join``, for processes with different numbers of batches.

    A process that has run out of batches keeps taking part in the recordings of the others, without samples. List it
    after the model::

        with Join([model, Joining(tracker)]):
            for batch in batches:
                ...
                optimizer.step()
                tracker.step()

    Args:
        tracker: made with ``synchronize``.

    Raises:
        ValueError: if the tracker is not synchronized.
    """

    def __init__(self, tracker: "Tracker") -> None:
        super().__init__()
        if tracker.group is None:
            raise ValueError("a tracker that joins others needs synchronize=True and several processes")
        self._tracker, self._group = tracker, tracker.group

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """Return what a process without further batches does."""
        return _Steps(self._tracker)

    @property
    def join_device(self) -> torch.device:
        """The device of the context's own collectives."""
        return torch.device("cuda" if dist.get_backend(self._group) == "nccl" else "cpu")

    @property
    def join_process_group(self) -> "dist.ProcessGroup":
        """The processes."""
        return self._group


class _Steps(JoinHook):
    def __init__(self, tracker: "Tracker") -> None:
        self._tracker = tracker

    def main_hook(self) -> None:
        """Take part in a step of the others."""
        self._tracker.step()
