"""A limit to what a tracker may cost: recordings wait until they are paid for, and look at fewer units."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

import torch

from ..nets import Site
from ..stats._shown import Shown
from .measures import correlation
from .recording import Plan, Task, all_sites
from .some_units import FEWEST, of_some_units, unit_error

REMEMBERED = 32
FIRST_UNITS, MOST_UNITS = 256, 1 << 20
GROWTH = 1.5
PAUSE = 10
"""What takes so many times as long as steps do is none: an evaluation, a checkpoint."""
SAFETY = 0.9
"""The share of the budget that is spent by plan; the rest is for what estimates miss."""
_NOT_COUNTED = nullcontext()


@dataclass(frozen=True)
class Overhead(Shown):
    """What a tracker has used of the time of training.

    Attributes:
        share: seconds of the tracker over seconds of training without it.
        budget: the share that was allowed.
        seconds: of the tracker: recordings, and what its hooks add to a step.
        training_seconds: of the steps without it.
        recordings: made.
        postponed: steps at which something was due and had to wait.
        units: looked at in wider layers; None where no layer is wider.
    """

    share: float
    budget: float
    seconds: float
    training_seconds: float
    recordings: int
    postponed: int
    units: int | None


class Unlimited:
    """Everything is recorded when it is due."""

    overhead: Overhead | None = None

    def spending(self) -> AbstractContextManager[None]:
        """The block is the tracker's."""
        return _NOT_COUNTED

    def watched(self, plan: Plan, coming: range) -> list[Site]:
        """The sites to watch in the coming step."""
        return plan.possible(coming)

    def affordable(self, due: Sequence[Task]) -> Sequence[Task]:
        """What of it to do now."""
        return due

    def at_epoch_end(self, due: Sequence[Task]) -> Sequence[Task]:
        """What of it to do now."""
        return due

    def begin(self, plan: Plan) -> None:
        """Training begins."""


class Budget(Unlimited):
    """Keeps the tracker's time within a share of that of training.

    Training is timed from the end of one `spending` block to the start of the next. A step that was watched takes
    longer by what the hooks add: that is counted as the tracker's. At the end of each step it is decided whether the
    next one may be recorded: if what a recording has cost lately fits into what is allowed by then. What is due and
    cannot be paid for waits. If recordings have to wait, the next ones look at fewer units of wide layers; if there
    is plenty, at more.

    Args:
        share: of the time of training, above 0 and below 1.
        seed: of the choice of units.
        clock: seconds.

    Raises:
        ValueError: for a share out of range.
    """

    def __init__(self, share: float, *, seed: int = 0, clock: Callable[[], float] = perf_counter) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ValueError(f"a budget is a share of the time of training, above 0 and below 1; got {share!r}")
        self._share, self._clock = share, clock
        self._generator = torch.Generator().manual_seed(seed)
        self._plain: deque[float] = deque(maxlen=REMEMBERED)
        self._watched_excess: deque[float] = deque(maxlen=REMEMBERED)
        self._costs: deque[float] = deque(maxlen=2)
        self._left: float | None = None
        self._waiting: dict[int, Task] = {}
        self._granted = self._records = False
        self._spent = self._trained = 0.0
        self._n_recordings = self._n_postponed = 0
        self._units: float = FIRST_UNITS
        self._late_before = 0

    @property
    def overhead(self) -> Overhead:  # type: ignore[override]
        """What was used so far."""
        used = self._spent / self._trained if self._trained else math.nan
        units = int(self._units) if self._units < MOST_UNITS else None
        return Overhead(used, self._share, self._spent, self._trained, self._n_recordings, self._n_postponed, units)

    def begin(self, plan: Plan) -> None:
        """Compile what the first recording needs, before training is timed."""
        x = torch.randn(2 * FEWEST, FEWEST, generator=self._generator)
        for task in plan.tasks:
            if task.measure.statistic is correlation().statistic:
                task.measure.values((x,))
                unit_error(x, 2 * FEWEST)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """The block is the tracker's; what lies between two blocks is a step of training."""
        began = self._clock()
        if self._left is not None:
            self._note_step(began - self._left)
        self._records = False
        try:
            yield
        finally:
            self._left = self._clock()
            cost = self._left - began
            self._spent += cost
            if self._records:
                self._costs.append(cost)
                self._adapt()

    def _note_step(self, seconds: float) -> None:
        """A watched step is a plain one and what the hooks added; a pause between steps counts as a plain one."""
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

    def watched(self, plan: Plan, coming: range) -> list[Site]:
        """The sites to watch in the coming step: those of what is due or waits, if it can be paid for."""
        tasks = [*self._waiting.values(), *plan.due(coming[0])]
        self._granted = bool(tasks) and self._can_pay()
        return all_sites(tasks) if self._granted else []

    def _can_pay(self) -> bool:
        """Not before a plain step was seen: what a step costs must be known."""
        if not self._plain:
            return False
        cost = max(self._costs, default=0.0) if len(self._costs) < 2 else self._costs[-1]
        return self._spent + cost + self._hooks() <= SAFETY * self._share * (self._trained + self._usual())

    def affordable(self, due: Sequence[Task]) -> Sequence[Task]:
        """All that waits, if the step was granted."""
        self._waiting |= {id(task.measure): task for task in due}
        if not (self._granted and self._waiting):
            self._n_postponed += bool(due)
            return []
        tasks, self._waiting = list(self._waiting.values()), {}
        self._records = True
        self._n_recordings += 1
        return [replace(task, measure=of_some_units(task.measure, int(self._units), self._generator)) for task in tasks]

    def at_epoch_end(self, due: Sequence[Task]) -> Sequence[Task]:
        """It waits for the next step that can be paid for."""
        self._waiting |= {id(task.measure): task for task in due}
        return []

    def _adapt(self) -> None:
        """Fewer units if what is due had to wait since the last recording; more if it did not."""
        late, self._late_before = self._n_postponed > self._late_before, self._n_postponed
        wanted = self._units / GROWTH if late else self._units * GROWTH
        self._units = min(max(wanted, FEWEST), MOST_UNITS)


def budget_of(budget: "float | Budget | None") -> Unlimited:
    """From any way to give one."""
    return Unlimited() if budget is None else budget if isinstance(budget, Budget) else Budget(budget)
