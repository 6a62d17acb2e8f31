"""A tracker among processes with different numbers of batches."""

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed.algorithms.join import Joinable, JoinHook

if TYPE_CHECKING:
    from .tracker import Tracker


class Joining(Joinable):
    """A tracker in ``torch.distributed.algorithms.Join``, for processes with different numbers of batches.

    One that has run out of batches goes on to take part in the recordings of the others, with no samples. Name it
    after the model, in whose context it counts::

        with Join([model, Joining(tracker)]):
            for batch in batches:
                ...
                optimizer.step()
                tracker.step()

    Args:
        tracker: with ``synchronize``.

    Raises:
        ValueError: if the tracker is not synchronized.
    """

    def __init__(self, tracker: "Tracker") -> None:
        super().__init__()
        if tracker.group is None:
            raise ValueError("a tracker that joins others must be made with synchronize=True, in several processes")
        self._tracker, self._group = tracker, tracker.group

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What a process does that has no batch left."""
        return _Steps(self._tracker)

    @property
    def join_device(self) -> torch.device:
        """Where the context's own collectives run."""
        return torch.device("cuda" if dist.get_backend(self._group) == "nccl" else "cpu")

    @property
    def join_process_group(self) -> "dist.ProcessGroup":
        """The processes."""
        return self._group


class _Steps(JoinHook):
    def __init__(self, tracker: "Tracker") -> None:
        self._tracker = tracker

    def main_hook(self) -> None:
        """The others make a step."""
        self._tracker.step()
