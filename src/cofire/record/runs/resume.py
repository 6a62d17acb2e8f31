"""Training loops that can be killed: regular checkpoints, signals handled between steps, resuming."""

import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...nets.torch_private import version
from ...stats._base.wording import with_article
from ..arguments import check_whole
from .peers import Peers
from .rng_state import restore_rng, rng_states
from .run_directory import WritableRun
from .starting_over import how_to_start_over
from .stop_signals import handling, leave, workers_are_watched


class Resumable:
    """Saves and restores a loop's parts; made by `resumable`.

    Attributes:
        step: the step to continue from; 0 at the start.
    """

    def __init__(self, run: WritableRun, every: int, parts: Mapping[str, Any]) -> None:
        self._run = run
        self._every = every
        self._parts = parts
        self._peers = Peers(run)
        self._signal = 0
        self._trained = False
        models = [part for part in parts.values() if isinstance(part, nn.Module)]
        self._tensors: list[Tensor] = [one for model in models for one in (*model.parameters(), *model.buffers())]
        self.step = self._restore()
        self._reached()

    def __repr__(self) -> str:
        kept = ", ".join(self._parts)
        return f"Resumable(step={self.step}, every={self._every}, parts=[{kept}], run={str(self._run.directory)!r})"

    def _restore(self) -> int:
        loaded: dict[str, Any] = {}

        def newest() -> int | None:
            found = self._run.load()
            if found is None:
                self._refuse_rows_without_checkpoint()
                return None
            loaded.update(found[1])
            return found[0]

        step = self._peers.from_first(newest)
        if step is None:
            self._save(0)
            return 0
        states = loaded or self._run.checkpoints.at(step).states
        own = self._own_states(states)
        for name, part in self._parts.items():
            _put(name, part, own)
        if "rng" in own:
            restore_rng(own["rng"])
        return step

    def _refuse_rows_without_checkpoint(self) -> None:
        if last := self._run.table.last_step():
            raise ValueError(
                f"{self._run.directory} has rows up to step {last} but no checkpoint to continue from; "
                f"{how_to_start_over(self._run.directory)}"
            )

    def _own_states(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """Return the states for this process: its own of what each has, which is random generators."""
        of_all, shared = states.get("processes"), {name: one for name, one in states.items() if name != "processes"}
        n_then = 1 if of_all is None else len(of_all)
        if n_then != self._peers.size:
            warnings.warn(
                f"the number of processes was {n_then} when the checkpoint was saved and is {self._peers.size} now, so "
                "random numbers are not those of an uninterrupted training",
                RuntimeWarning,
                stacklevel=2,
            )
        if of_all is None:
            return shared if self._peers.rank == 0 else {name: one for name, one in shared.items() if name != "rng"}
        return {**shared, **(of_all[self._peers.rank] if self._peers.rank < n_then else {})}

    def edge(self, step: int) -> None:
        """Note that ``step`` steps are done: save a checkpoint if one is due, or if the process is to end.

        Raises:
            KeyboardInterrupt: after SIGINT.
            SystemExit: with status 143, after SIGTERM.
            OSError: if a checkpoint cannot be written.
        """
        self.step, self._trained = step, True
        self._reached()
        self._signal = self._peers.largest(self._signal)
        if self._signal:
            self.finish()
        if step % self._every == 0:
            self._save(step)

    def finish(self) -> None:
        """Save the last state, if a step was made; `resumable` does so when its block ends without an error.

        Raises:
            KeyboardInterrupt: as for `edge`.
            SystemExit: as for `edge`.
        """
        if self._trained:
            self._save(self.step)
        self._signal = self._peers.largest(self._signal)
        if self._signal:
            leave(self._signal)

    def _reached(self) -> None:
        """Remember the state between two steps, if an error may have to be answered by saving it."""
        self._between = (self._versions(), rng_states()) if workers_are_watched() else None

    def _versions(self) -> list[int]:
        return [version(one) for one in self._tensors]

    def rescue(self, error: Exception) -> None:
        """After a signal, save what the last step left if an error came before the next one changed the model.

        A signal to the whole group ends the workers of data loaders too, and the next batch is an error.

        Raises:
            KeyboardInterrupt: as for `edge`, if the state was saved.
            SystemExit: as for `edge`, if the state was saved.
        """
        if not (self._signal and self._peers.alone and self._between):
            return
        versions, random = self._between
        if versions == self._versions():
            self._save(self.step, random)
            try:
                leave(self._signal)
            except BaseException as left:
                raise left from error

    def _save(self, step: int, random: Mapping[str, Any] | None = None) -> None:
        generators = {name: one.get_state() for name, one in self._parts.items() if isinstance(one, torch.Generator)}
        own = {**generators, "rng": rng_states() if random is None else random}
        of_all = self._peers.gather(own)
        shared = {name: one.state_dict() for name, one in self._parts.items() if not isinstance(one, torch.Generator)}
        self._run.save(step, {**shared, **own, **({} if self._peers.alone else {"processes": of_all})})

    def terminate(self, number: int = signal.SIGTERM) -> None:
        """Ask the loop to save and exit at the next edge, as SIGTERM does."""
        self._signal = int(number)


@contextmanager
def resumable(run: WritableRun, *, every: int, **parts: Any) -> Iterator[Resumable]:
    """Make a training loop resumable.

    On entering, the parts are restored from the newest intact checkpoint; at the start they are saved. They are saved
    again every ``every`` steps, and at the end, together with the states of torch's, numpy's and Python's generators.
    On the same CPU machine with the same number of threads, a loop that was killed and resumed therefore gives the
    same bytes as one that was not.

    SIGTERM and SIGINT let the step end, save, and exit: with status 143, and as KeyboardInterrupt. A second one leaves
    at once. A signal that also ends the workers of a data loader saves too. Python allows handlers in the main thread
    only; elsewhere signals are not handled. The previous handlers are restored at the end.

    Several processes of ``torch.distributed`` share the directory: all call this and `Resumable.edge` at the same
    steps. The first writes, and all load what it wrote; each goes on with its own random generators. If one gets a
    signal, all save and exit. Parts must hold whole tensors: gather the states of sharded models and optimizers.

    Args:
        run: the run directory, open for writing.
        every: steps between checkpoints.
        **parts: what to save, by name: anything with ``state_dict`` and ``load_state_dict`` (model, optimizer,
            scheduler, `Tracker`) or a ``torch.Generator``.

    Raises:
        ValueError: if ``every`` is not a whole number of at least 1, or a part cannot be saved.

    Warns:
        RuntimeWarning: if the checkpoint was saved by another number of processes.

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
    with handling(loop.terminate):
        try:
            yield loop
        except Exception as error:
            loop.rescue(error)
            raise
        loop.finish()


def _check_part(name: str, part: object) -> None:
    if name in ("rng", "processes"):
        raise ValueError(f"the name {name!r} is taken by the states of random generators; give the part another name")
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
