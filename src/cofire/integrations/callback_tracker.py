"""A tracker inside a framework's callback, where the framework counts the steps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn

from ..record import Array, Measure, Row, Tracker, WritableRun, correlation
from ..record.tracker import OFTEN_AT_FIRST
from .logged_numbers import LoggedNumbers, Quantities

LogNumbers = Callable[[Mapping[str, float], int], object]


class TrackingCallback:
    """Base of the callbacks: takes the arguments of `Tracker`, and begins, steps and closes one.

    A callback exists before its model, so the tracker is made when training begins.
    """

    def __init__(
        self,
        measures: Iterable[Measure] | None = None,
        *,
        run: str | Path | WritableRun | None = None,
        overwrite: bool = False,
        every: Any = OFTEN_AT_FIRST,
        sink: Any = None,
        probe: Any = None,
        window: int = 1,
        max_samples: int = 10_000,
        seed: int = 0,
        mask: Any = None,
        budget: float | None = None,
        quantities: Quantities = None,
    ) -> None:
        self._measures = None if measures is None else list(measures)
        self._sink, self._mask, self._overwrite = sink, mask, overwrite
        self._quantities = quantities if quantities is None or isinstance(quantities, str) else list(quantities)
        LoggedNumbers(self._quantities)  # a wrong name is an error here rather than when training begins
        self._options = {"run": run, "every": every, "probe": probe, "window": window}
        self._options |= {"max_samples": max_samples, "seed": seed, "budget": budget}
        self._tracker: Tracker | None = None
        self._state: Mapping[str, Any] | None = None
        self._steps = 0

    @property
    def tracker(self) -> Tracker | None:
        """The tracker during training, else None."""
        return self._tracker

    def state_dict(self) -> dict[str, Any]:
        """Return the tracker's state for a checkpoint; empty before training."""
        return dict(self._state or {}) if self._tracker is None else self._tracker.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Set the state from which the next training continues."""
        self._state = state_dict or None

    def close(self) -> None:
        """Remove all hooks from the model; a second call does nothing."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            self._state = tracker.state_dict()
            tracker.close()

    def _begin(
        self, model: nn.Module, log: LogNumbers, *, step: int, mask: Any = None, default: Measure | None = None
    ) -> None:
        """Attach a tracker, ``step`` optimizer steps after the start of training."""
        self.close()
        self._steps = step
        # Frameworks start the process group before they train, so the group tells whether there are several processes.
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self._tracker = Tracker(
            model,
            [default or correlation()] if self._measures is None else self._measures,
            sink=_Sink(log, self._quantities, self._sink, first=not several or dist.get_rank() == 0),
            mask=mask if self._mask is None else self._mask,
            synchronize=several,
            state=self._state,
            overwrite=self._overwrite and not self._state,  # a resumed training continues its run
            **self._options,
        )

    def _reach(self, step: int) -> None:
        """Step the tracker if an optimizer step was made.

        Frameworks call back after each batch, and gradient accumulation takes several batches a step.
        """
        if self._tracker is not None and step > self._steps:
            self._steps = step
            self._tracker.step()

    def _end_epoch(self) -> None:
        if self._tracker is not None:
            self._tracker.end_epoch()


class _Sink:
    """Passes some numbers to the framework's loggers, and all rows to the user's own sink.

    Frameworks call their loggers on every process and keep one result themselves. The user's sink is called on the
    first process only.
    """

    on_every_process = True  # else the tracker would call the sink on the first process only

    def __init__(self, log: LogNumbers, quantities: Quantities, other: Any, *, first: bool) -> None:
        self._log, self._other = log, other if first else None
        self._numbers = LoggedNumbers(quantities, warns=first)
        self.takes_arrays = bool(getattr(other, "takes_arrays", False))

    def __call__(self, rows: Sequence[Row], arrays: Sequence[Array] = ()) -> None:
        if numbers := self._numbers(rows):
            self._log(numbers, rows[0].step)
        if self._other is not None and (rows or arrays):
            self._other(rows, *([arrays] if self.takes_arrays else []))
