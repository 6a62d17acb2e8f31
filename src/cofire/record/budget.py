"""A limit on what a tracker may cost: recordings wait until they fit, and look at fewer units."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

import torch

from ..nets.layers.sites import Request
from ..stats._base.display import Shown
from .measures import correlation
from .recording import Plan, Task, requests_of
from .some_units import FEWEST, of_some_units, unit_error

REMEMBERED = 32
GROWTH = 1.5
FIRST_LEVEL, LAST_LEVEL = 3, 24
"""Levels of how many units are looked at: `FEWEST` at level 0, and half as many again at each higher one."""
WORTH = 0.85
"""Fewer units must be cheaper by this factor: below some width the cost no longer depends on it."""
RETRY = 16
"""Recordings before fewer units are tried again."""
PAUSE = 10
"""Anything that takes this many times as long as a step is not a step, but an evaluation or a checkpoint."""
SAFETY = 0.9
"""The share of the budget that is planned for; the rest covers errors of the estimates."""
_NOT_COUNTED = nullcontext()


@dataclass(frozen=True)
class Overhead(Shown):
    """How much training time a tracker has used.

    Attributes:
        share: seconds of the tracker over seconds of training without it.
        budget: the share that was allowed.
        seconds: the tracker's: recordings, and what its hooks add to a step.
        training_seconds: the steps' without it.
        recordings: number of recordings.
        postponed: number of steps at which something was due and had to wait.
        units: number of units looked at in wider layers; None if there is no limit.
    """

    share: float
    budget: float
    seconds: float
    training_seconds: float
    recordings: int
    postponed: int
    units: int | None


class Unlimited:
    """No budget: everything is recorded when it is due."""

    overhead: Overhead | None = None

    def spending(self) -> AbstractContextManager[None]:
        """Count the time of a block as the tracker's."""
        return _NOT_COUNTED

    def watched(self, plan: Plan, coming: range) -> list[Request]:
        """Return the layers to watch in the coming step."""
        return plan.possible(coming)

    def affordable(self, due: Sequence[Task]) -> Sequence[Task]:
        """Return the tasks to do now."""
        return due

    def at_epoch_end(self, due: Sequence[Task]) -> Sequence[Task]:
        """Return the tasks to do now."""
        return due

    def begin(self, plan: Plan) -> None:
        """Prepare for training."""


class Budget(Unlimited):
    """Keeps the tracker's time within a share of training time.

    Training is timed from the end of one `spending` block to the start of the next. Hooks make a watched step take
    longer; the difference counts as the tracker's. The end of each step decides whether the next one may be recorded:
    if the cost of the last recording fits into what will be allowed by then. Tasks that don't fit wait. If recordings
    have to wait, the next ones look at fewer units of wide layers; if time is left, at more.

    Args:
        share: share of training time, above 0 and below 1.
        seed: seed of the choice of units.
        clock: returns seconds.

    Raises:
        ValueError: for a share out of range.
    """

    def __init__(self, share: float, *, seed: int = 0, clock: Callable[[], float] = perf_counter) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ValueError(f"a budget is a share of training time, above 0 and below 1; got {share!r}")
        self._share, self._clock = share, clock
        self._generator = torch.Generator().manual_seed(seed)
        self._plain: deque[float] = deque(maxlen=REMEMBERED)
        self._watched_excess: deque[float] = deque(maxlen=REMEMBERED)
        self._costs: deque[float] = deque(maxlen=1)
        self._began = 0.0
        self._left: float | None = None
        self._waiting: dict[int, Task] = {}
        self._granted = self._records = False
        self._spent = self._trained = 0.0
        self._n_recordings = self._n_postponed = 0
        self._level = FIRST_LEVEL
        self._before = FIRST_LEVEL, 0.0
        self._fewer_from = 0
        self._late_before = 0

    @property
    def overhead(self) -> Overhead:  # type: ignore[override]
        """How much was used so far."""
        used = self._spent / self._trained if self._trained else math.nan
        units = self._units if self._level < LAST_LEVEL else None
        return Overhead(used, self._share, self._spent, self._trained, self._n_recordings, self._n_postponed, units)

    @property
    def _units(self) -> int:
        return int(FEWEST * GROWTH**self._level)

    def begin(self, plan: Plan) -> None:
        """Compile what the first recordings of narrow and wide layers need, before training is timed."""
        if not any(task.measure.statistic is correlation().statistic for task in plan.tasks):
            return
        for n_units in (FEWEST, self._units):
            x = torch.randn(2 * FEWEST, n_units, generator=self._generator)
            correlation().values((x,))
            unit_error(x, 2 * n_units)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time of a block as the tracker's; the time between two blocks is a training step."""
        self._began = self._clock()
        if self._left is not None:
            self._note_step(self._began - self._left)
        self._records = False
        try:
            yield
        finally:
            self._left = self._clock()
            cost = self._left - self._began
            self._spent += cost
            if self._records:
                self._costs.append(cost)
                self._adapt(cost)

    def _note_step(self, seconds: float) -> None:
        """Split a step's time into training and hooks; a pause between steps counts as one plain step."""
        plain = self._usual()
        if self._plain and seconds > PAUSE * plain:
            self._trained += plain
            return
        if not self._granted:
            self._plain.append(seconds)
            self._trained += seconds
            return
        self._watched_excess.append(seconds - plain)
        self._spent += seconds - plain
        self._trained += plain

    def _usual(self) -> float:
        return median(self._plain) if self._plain else 0.0

    def _hooks(self) -> float:
        return max(0.0, median(self._watched_excess)) if self._watched_excess else 0.0

    def watched(self, plan: Plan, coming: range) -> list[Request]:
        """Return the layers to watch in the coming step: those of tasks that are due or wait, if they fit."""
        tasks = [*self._waiting.values(), *plan.due(coming[0])]
        self._granted = bool(tasks) and self._can_pay()
        return requests_of(tasks) if self._granted else []

    def _can_pay(self) -> bool:
        """Return whether a recording at the next step fits.

        The first needs one plain step, whose time must be known; it shows what recordings cost. This is called within a
        `spending` block that may have recorded, so the time since its start is spent too.
        """
        if not (self._records or self._costs):
            return bool(self._plain)
        running = self._clock() - self._began
        cost = running if self._records else self._costs[-1]
        spent = self._spent + running + cost + self._hooks()
        return spent <= SAFETY * self._share * (self._trained + self._usual())

    def affordable(self, due: Sequence[Task]) -> Sequence[Task]:
        """Return all tasks that wait, if recording this step was granted."""
        self._waiting |= {id(task.measure): task for task in due}
        if not (self._granted and self._waiting):
            self._n_postponed += bool(due)
            return []
        tasks, self._waiting = list(self._waiting.values()), {}
        self._records = True
        self._n_recordings += 1
        return [replace(task, measure=of_some_units(task.measure, self._units, self._generator)) for task in tasks]

    def at_epoch_end(self, due: Sequence[Task]) -> Sequence[Task]:
        """Return no task: all wait for the next step at which they fit."""
        self._waiting |= {id(task.measure): task for task in due}
        return []

    def _adapt(self, cost: float) -> None:
        """Look at more units if nothing had to wait since the last recording; else at fewer, where that is cheaper."""
        late, self._late_before = self._n_postponed > self._late_before, self._n_postponed
        (level, known), self._before = self._before, (self._level, cost)
        if late and level > self._level and cost > WORTH * known:
            self._fewer_from = self._n_recordings + RETRY
            self._level = level
        elif not late:
            self._level = min(self._level + 1, LAST_LEVEL)
        elif self._n_recordings >= self._fewer_from:
            self._level = max(self._level - 1, 0)


def budget_of(budget: "float | Budget | None") -> Unlimited:
    """Return the budget that a tracker's argument means."""
    return Unlimited() if budget is None else budget if isinstance(budget, Budget) else Budget(budget)
