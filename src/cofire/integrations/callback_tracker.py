"""A tracker whose steps somebody else's training loop counts: begun, stepped, ended and resumed by its callbacks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn

from ..record import Array, Measure, Row, Tracker, WritableRun, correlation
from ..record.tracker import OFTEN_AT_FIRST
from .metric_names import Names

LogNumbers = Callable[[Mapping[str, float], int], object]


class Follows:
    """What the callbacks of all frameworks have in common: their arguments, and the tracker."""

    def __init__(
        self,
        measures: Iterable[Measure] | None = None,
        *,
        run: str | Path | WritableRun | None = None,
        every: Any = OFTEN_AT_FIRST,
        sink: Any = None,
        probe: Any = None,
        window: int = 1,
        max_samples: int = 10_000,
        seed: int = 0,
        mask: Any = None,
        budget: float | None = None,
    ) -> None:
        batches = {"probe": probe, "window": window, "max_samples": max_samples, "seed": seed, "mask": mask}
        self._following = Following(measures, sink, run=run, every=every, budget=budget, **batches)

    @property
    def tracker(self) -> Tracker | None:
        """The tracker, while training goes on."""
        return self._following.tracker


class Following:
    """A tracker that is begun, stepped, ended and resumed.

    Args:
        measures: those of the tracker; None leaves them to `begin`.
        sink: the user's own, beside the framework's loggers.
        **options: further arguments of `Tracker`.
    """

    def __init__(self, measures: Iterable[Measure] | None, sink: Any, **options: Any) -> None:
        self._measures = None if measures is None else list(measures)
        self._sink, self.options = sink, options
        self._tracker: Tracker | None = None
        self._state: Mapping[str, Any] | None = None
        self._steps = 0

    @property
    def tracker(self) -> Tracker | None:
        """The tracker, while training goes on."""
        return self._tracker

    def begin(
        self, model: nn.Module, log: LogNumbers, *, step: int, measures: Sequence[Measure] = (), **options: Any
    ) -> None:
        """Training begins, or goes on, ``step`` optimizer steps from its start."""
        self.close()
        self._steps = step
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        sink = _Sink(log, self._sink, first=not several or dist.get_rank() == 0)
        measures = (measures or [correlation()]) if self._measures is None else self._measures
        options = {**self.options, **options, "synchronize": several, "state": self._state}
        self._tracker = Tracker(model, measures, sink=sink, **options)

    def reach(self, step: int) -> None:
        """So many optimizer steps are done: those of gradient accumulation count when they are whole."""
        if self._tracker is not None and step > self._steps:
            self._steps = step
            self._tracker.step()

    def end_epoch(self) -> None:
        """An epoch is over."""
        if self._tracker is not None:
            self._tracker.end_epoch()

    def close(self) -> None:
        """Training is over, however it ended: no hook stays. A second call does nothing."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            self._state = tracker.state_dict()
            tracker.close()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; empty before training."""
        return dict(self._state or {}) if self._tracker is None else self._tracker.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint when training begins."""
        self._state = state or None


class _Sink:
    """The framework's loggers, on every process as they expect it, and the user's own sink, on the first."""

    on_every_process = True

    def __init__(self, log: LogNumbers, other: Any, *, first: bool) -> None:
        self._log, self._other, self._names = log, other if first else None, Names()
        self.takes_arrays = bool(getattr(other, "takes_arrays", False))

    def __call__(self, rows: Sequence[Row], arrays: Sequence[Array] = ()) -> None:
        if rows:
            self._log({self._names(row): row.value for row in rows}, rows[0].step)
        if self._other is not None and (rows or arrays):
            self._other(rows, *([arrays] if self.takes_arrays else []))
