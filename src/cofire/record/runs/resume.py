"""Training loops that can be killed: regular checkpoints, SIGTERM handled between steps, resuming."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from ...stats._base.wording import with_article
from ..arguments import check_whole
from .rng_state import restore_rng, rng_states
from .run_directory import WritableRun
from .starting_over import how_to_start_over

TERMINATED = 128 + signal.SIGTERM


class Resumable:
    """Saves and restores a loop's parts; made by `resumable`.

    Attributes:
        step: the step to continue from; 0 at the start.
    """

    def __init__(self, run: WritableRun, every: int, parts: Mapping[str, Any]) -> None:
        self._run = run
        self._every = every
        self._parts = parts
        self._terminate = threading.Event()
        self.step = self._restore()

    def __repr__(self) -> str:
        kept = ", ".join(self._parts)
        return f"Resumable(step={self.step}, every={self._every}, parts=[{kept}], run={str(self._run.directory)!r})"

    def _restore(self) -> int:
        found = self._run.load()
        if found is None:
            if last := self._run.table.last_step():
                raise ValueError(
                    f"{self._run.directory} has rows up to step {last} but no checkpoint to continue from; "
                    f"{how_to_start_over(self._run.directory)}"
                )
            self._save(0)
            return 0
        step, states = found
        for name, part in self._parts.items():
            _put(name, part, states)
        restore_rng(states["rng"])
        return step

    def edge(self, step: int) -> None:
        """Note that ``step`` steps are done: save a checkpoint if one is due, or if the process is to end.

        Raises:
            SystemExit: with status 143, after SIGTERM.
            OSError: if a checkpoint cannot be written.
        """
        self.step = step
        if self._terminate.is_set():
            self.finish()
        if step % self._every == 0:
            self._save(step)

    def finish(self) -> None:
        """Save the last state; `resumable` does so when its block ends without an error.

        Raises:
            SystemExit: as for `edge`.
        """
        self._save(self.step)
        if self._terminate.is_set():
            raise SystemExit(TERMINATED)

    def _save(self, step: int) -> None:
        states = {
            name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            for name, part in self._parts.items()
        }
        self._run.save(step, {**states, "rng": rng_states()})

    def terminate(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Ask the loop to save and exit at the next edge, as SIGTERM does."""
        self._terminate.set()


@contextmanager
def resumable(run: WritableRun, *, every: int, **parts: Any) -> Iterator[Resumable]:
    """Make a training loop resumable.

    On entering, the parts are restored from the newest intact checkpoint; at the start they are saved. They are saved
    again every ``every`` steps, and at the end, together with the states of torch's, numpy's and Python's generators.
    On the same CPU machine with the same number of threads, a loop that was killed and resumed therefore gives the
    same bytes as one that was not.

    SIGTERM lets the step end, saves, and exits with status 143. Python allows handlers in the main thread only;
    elsewhere SIGTERM is not handled. The previous handler is restored at the end.

    Args:
        run: the run directory, open for writing.
        every: steps between checkpoints.
        **parts: what to save, by name: anything with ``state_dict`` and ``load_state_dict`` (model, optimizer,
            scheduler, `Tracker`) or a ``torch.Generator``.

    Raises:
        ValueError: if ``every`` is not a whole number of at least 1, or a part cannot be saved.

    Example:
        >>> import tempfile, torch
        >>> from cofire.record import Run
        >>> model = torch.nn.Linear(2, 1)
        >>> run = Run.open(tempfile.mkdtemp(), mode="write")
        >>> with run, resumable(run, every=10, model=model) as loop:
        ...     for step in range(loop.step, 30):
        ...         _ = model(torch.ones(2))  # and a step of the optimizer
        ...         loop.edge(step + 1)
    """
    check_whole("the number of steps between checkpoints", every)
    for name, part in parts.items():
        _check_part(name, part)
    loop = Resumable(run, every, parts)
    with _handling_sigterm(loop.terminate):
        yield loop
        loop.finish()


@contextmanager
def _handling_sigterm(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _check_part(name: str, part: object) -> None:
    if name == "rng":
        raise ValueError("the name 'rng' is taken by the global generators' states; give the part another name")
    both = hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
    if not both and not isinstance(part, torch.Generator):
        raise ValueError(
            f"{name} is {with_article(type(part).__qualname__)}, which has no state_dict and load_state_dict; "
            "give an object that has both, or a torch.Generator"
        )


def _put(name: str, part: Any, states: Mapping[str, Any]) -> None:
    if name not in states:
        kept = ", ".join(sorted(states))
        raise ValueError(f"the checkpoint has no state for {name!r}; it holds: {kept}")
    if isinstance(part, torch.Generator):
        part.set_state(states[name])
    else:
        part.load_state_dict(states[name])
