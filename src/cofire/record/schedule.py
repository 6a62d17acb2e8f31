"""When to record: frozen rules on the number of steps."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .arguments import check_whole


@runtime_checkable
class Schedule(Protocol):
    """Decides whether a step is due.

    ``epoch_end=True`` asks again for the step at which an epoch ended. A step that is due at all must be due then too;
    the tracker relies on it to watch only the steps at which something may be due.
    """

    def due(self, step: int, *, epoch_end: bool = False) -> bool:
        """Return whether to record after ``step`` optimizer steps (0: before training)."""
        ...


@dataclass(frozen=True)
class EverySteps:
    """Every ``k`` steps, starting at 0.

    Raises:
        ValueError: if ``k`` is not a whole number of at least 1.

    Example:
        >>> [step for step in range(10) if EverySteps(4).due(step)]
        [0, 4, 8]
    """

    k: int

    def __post_init__(self) -> None:
        check_whole("the number of steps between recordings", self.k)

    def due(self, step: int, *, epoch_end: bool = False) -> bool:
        """Return whether ``k`` divides the step."""
        return step % self.k == 0


@dataclass(frozen=True)
class EachEpoch:
    """Before training and at the end of each epoch."""

    def due(self, step: int, *, epoch_end: bool = False) -> bool:
        """Return whether an epoch ended here, or training has not begun."""
        return epoch_end or step == 0


@dataclass(frozen=True)
class GeometricSteps:
    """Step 0 and the steps ⌈factorⁱ⌉, i = 0, 1, 2, …: equally spaced on a logarithmic axis.

    Raises:
        ValueError: if ``factor`` is not a finite number above 1.

    Example:
        >>> [step for step in range(100) if GeometricSteps(2.5).due(step)]
        [0, 1, 3, 7, 16, 40, 98]
    """

    factor: float = 1.05

    def __post_init__(self) -> None:
        if isinstance(self.factor, bool) or not isinstance(self.factor, int | float):
            raise ValueError(f"the factor between steps must be a number, got {self.factor!r}")
        if not (math.isfinite(self.factor) and self.factor > 1):
            raise ValueError(f"the factor between steps must be finite and above 1, got {self.factor!r}")

    def due(self, step: int, *, epoch_end: bool = False) -> bool:
        """Return whether some power of the factor rounds up to the step."""
        if step <= 1:
            return step >= 0
        power = int(math.log(step) / math.log(self.factor))
        # Rounding may put the logarithm on either side of a whole number.
        return any(math.ceil(self.factor**near) == step for near in (power - 1, power, power + 1))


@dataclass(frozen=True)
class AtSteps:
    """Exactly these steps.

    Raises:
        ValueError: if there are none, or one is not a whole number of at least 0.

    Example:
        >>> [step for step in range(20) if AtSteps([0, 5, 17]).due(step)]
        [0, 5, 17]
    """

    steps: Iterable[int]

    def __post_init__(self) -> None:
        steps = tuple(self.steps)
        if not steps:
            raise ValueError("a list of steps must name at least one step, got none")
        for step in steps:
            check_whole("a step", step, least=0)
        object.__setattr__(self, "steps", tuple(sorted(set(steps))))

    def due(self, step: int, *, epoch_end: bool = False) -> bool:
        """Return whether the step is one of them."""
        return step in self.steps  # pyright: ignore[reportOperatorIssue] - a tuple since __post_init__


def as_schedule(every: "Schedule | int | str | Iterable[int]") -> Schedule:
    """Return a schedule from its shorthand: a number of steps, ``"epoch"``, or a list of steps.

    Raises:
        ValueError: if it is none of these.

    Example:
        >>> as_schedule(10), as_schedule("epoch"), as_schedule([1, 5])
        (EverySteps(k=10), EachEpoch(), AtSteps(steps=(1, 5)))
    """
    if isinstance(every, Schedule):
        return every
    if every == "epoch":
        return EachEpoch()
    if isinstance(every, int) and not isinstance(every, bool):
        return EverySteps(every)
    if isinstance(every, list | tuple | set | frozenset | range):
        return AtSteps(every)
    raise ValueError(
        f"every={every!r} is not a schedule; give a number of steps, 'epoch', a list of steps, "
        "or EverySteps, EachEpoch, GeometricSteps or AtSteps"
    )
