"""A tracker whose steps somebody else's training loop counts: begun, stepped, ended and resumed by its callbacks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from ..record import Array, Measure, Row, Tracker, correlation
from ._names import Names

LogNumbers = Callable[[Mapping[str, float], int], object]


class Following:
    """What the callbacks of all frameworks share.

    Args:
        measures: those of the tracker; by default `cofire.record.correlation`.
        sink: the user's own, beside the framework's loggers.
        **options: further arguments of `Tracker`.
    """

    def __init__(self, measures: Iterable[Measure] | None, sink: Any, **options: Any) -> None:
        self._measures = [correlation()] if measures is None else list(measures)
        self._sink, self._options = sink, options
        self._tracker: Tracker | None = None
        self._state: Mapping[str, Any] | None = None
        self._steps = 0

    @property
    def tracker(self) -> Tracker | None:
        """The tracker, while training goes on."""
        return self._tracker

    def begin(self, model: nn.Module, log: LogNumbers, *, step: int, **options: Any) -> None:
        """Training begins, or goes on, ``step`` optimizer steps from its start."""
        self.close()
        self._steps = step
        sink = _Sink(log, self._sink)
        self._tracker = Tracker(model, self._measures, sink=sink, state=self._state, **self._options, **options)

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
    """The framework's loggers, and the user's own sink."""

    def __init__(self, log: LogNumbers, other: Any) -> None:
        self._log, self._other, self._names = log, other, Names()
        self.takes_arrays = bool(getattr(other, "takes_arrays", False))

    def __call__(self, rows: Sequence[Row], arrays: Sequence[Array] = ()) -> None:
        if rows:
            self._log({self._names(row): row.value for row in rows}, rows[0].step)
        if self._other is not None and (rows or arrays):
            self._other(rows, *([arrays] if self.takes_arrays else []))
