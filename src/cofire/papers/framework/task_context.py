"""Where a task runs, for the training code inside it: its device, its data and its checkpoint."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import monotonic, perf_counter, process_time
from typing import TYPE_CHECKING, Any

from ...stats._base.whole_files import replaced
from .tasks import DATA_ROOT

if TYPE_CHECKING:
    import torch

SAVED_EVERY = 60.0
"""Seconds between two savings of a task's state, at least."""


@dataclass(frozen=True)
class Place:
    """Where a task runs; its results must not depend on it, except on the kind of device.

    Attributes:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:<number>"``.
        data_root: folder of the data sets; None downloads them.
        checkpoint: file in which the task keeps its state while it runs; None keeps none.
    """

    device: str = "cpu"
    data_root: str | None = None
    checkpoint: Path | None = None

    @property
    def kind(self) -> str:
        """Kind of device, ``"cpu"`` or ``"cuda"``: their numbers are told apart."""
        return self.device.partition(":")[0]


def check_device(name: str) -> "torch.device":
    """Return a device by its name.

    Raises:
        ValueError: if it is neither ``"cpu"`` nor ``"cuda"``, or this machine doesn't have it.
    """
    import torch

    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (kind == "cpu" and number) or (":" in name and not number.isdecimal()):
        raise ValueError(f"device must be cpu, cuda or cuda:<number>, got {name!r}")
    there = torch.cuda.device_count() if kind == "cuda" else 1
    if int(number or 0) >= there:
        gpus = {0: "no GPU", 1: "1 GPU"}.get(there, f"{there} GPUs")
        raise ValueError(f"Device {name!r} is not available: PyTorch sees {gpus} here")
    return torch.device(name)


class Stage:
    """The training of one group of networks within a task.

    Attributes:
        state: the state in which it was last saved, or None at its beginning.
        finished: whether that is its end.
    """

    def __init__(self, task: "Checkpoint | None", index: int, name: str, saved: Mapping[str, Any] | None) -> None:
        self._task, self._index, self._name = task, index, name
        self.state = None if saved is None else saved["state"]
        self.finished = saved is not None and saved["finished"]

    def save(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Save the state if the last time was a minute ago; ``state`` returns tensors, numbers, texts, lists, dicts."""
        if self._task is not None and self._task.due:
            self._task.put(self._index, {"name": self._name, "state": state(), "finished": False})
            self._task.write()

    def finish(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Keep the last state, which the task needs if it is resumed in a later stage."""
        if self._task is not None:
            import copy

            self._task.put(self._index, {"name": self._name, "state": copy.deepcopy(state()), "finished": True})
            if self._task.due:
                self._task.write()


class Checkpoint:
    """The state of a task that was begun, in one file: that of each of its stages, in their order.

    A resumed task runs its function from the start, with its own random seeds; what it trained before is loaded. A
    stage that has another name than before, and all after it, begin anew.

    Args:
        path: the file. It holds no paths and may be copied to another machine.
        clock: returns the seconds that count as the task's time.

    Attributes:
        seconds: the time that the task took before it was interrupted.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = process_time) -> None:
        self.path = path
        self.seconds, self._stages = _loaded(path)
        self._begun = 0
        self._clock, self._since = clock, clock()
        self._written = monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return monotonic() - self._written >= SAVED_EVERY

    def stage(self, name: str) -> Stage:
        """Begin the next stage; ``name`` says all that it depends on."""
        index, self._begun = self._begun, self._begun + 1
        saved = self._stages[index] if index < len(self._stages) else None
        if saved is not None and saved["name"] != name:
            saved = None
            del self._stages[index:]
        return Stage(self, index, name, saved)

    def put(self, index: int, saved: Mapping[str, Any]) -> None:
        """Replace a stage's state, in memory."""
        self._stages[index:] = [saved]

    def write(self) -> None:
        """Write the file, whole or not at all."""
        import torch

        content = BytesIO()
        seconds = self.seconds + self._clock() - self._since
        torch.save({"seconds": seconds, "stages": self._stages}, content)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(self.path) as file:
            file.write(content.getbuffer())
        self._written = monotonic()


def _loaded(path: Path) -> tuple[float, list[Mapping[str, Any]]]:
    """Return the seconds and the stages in a file; none if it isn't there or is damaged."""
    import torch

    if not path.is_file():
        return 0.0, []
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return found["seconds"], found["stages"]
    except Exception as error:  # torch raises whatever its parts raise
        warnings.warn(f"{path} is damaged, so its task starts over: {error}", RuntimeWarning, stacklevel=2)
        return 0.0, []


NOWHERE = Place()
_place: ContextVar[Place] = ContextVar("place", default=NOWHERE)
_checkpoint: ContextVar[Checkpoint | None] = ContextVar("checkpoint", default=None)


@contextmanager
def running_at(place: Place) -> Iterator[Callable[[], float]]:
    """Run a task at a place: what it trains within this block finds device, data and checkpoint there.

    Yields:
        A function that returns the seconds that the task took so far, before an interruption too: processor time on
        the CPU, time by the clock on a GPU.

    Raises:
        ValueError: if this machine doesn't have the device.
    """
    check_device(place.device)
    if place.data_root is not None:
        os.environ[DATA_ROOT] = place.data_root
    clock = process_time if place.kind == "cpu" else perf_counter
    checkpoint = None if place.checkpoint is None else Checkpoint(place.checkpoint, clock=clock)
    since = clock() - (checkpoint.seconds if checkpoint else 0.0)
    tokens = _place.set(place), _checkpoint.set(checkpoint)
    try:
        yield lambda: clock() - since
    finally:
        _place.reset(tokens[0])
        _checkpoint.reset(tokens[1])


def here() -> Place:
    """Return where the running task runs; outside of one, the CPU without a checkpoint."""
    return _place.get()


def begin_stage(name: str) -> Stage:
    """Begin a stage of the running task; outside of one, a stage that keeps nothing.

    Example:
        >>> begin_stage("training").state is None
        True
    """
    checkpoint = _checkpoint.get()
    return Stage(None, 0, name, None) if checkpoint is None else checkpoint.stage(name)
