"""Schedulers, in the form of torch's, that lower a learning rate or a weight as a penalty drops."""

from math import isfinite
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .penalty import Penalty


class _Drop:
    """A factor that falls with a noisy number's drop from its peak and never grows."""

    def __init__(self, *, power: float, smoothing: float, floor: float, least: float) -> None:
        if not (power > 0 and 0 <= smoothing < 1 and isfinite(floor) and 0 <= least <= 1):
            raise ValueError(
                "power must be above 0, smoothing at least 0 and below 1, floor finite, least between 0 and 1; got "
                f"{power=}, {smoothing=}, {floor=}, {least=}"
            )
        self.power, self.smoothing, self.floor, self.least = power, smoothing, floor, least
        self.smoothed: float | None = None
        self.peak = floor
        self.factor = 1.0

    def __repr__(self) -> str:
        named = ("power", "smoothing", "floor", "least", "factor")
        return ", ".join(f"{name}={getattr(self, name)}" for name in named)

    def follow(self, penalty: Penalty) -> None:
        """Read the penalty's last value and update the factor; None and values that are not finite change nothing."""
        value = None if penalty.value is None else float(penalty.value)
        if value is None or not isfinite(value):
            return
        old = value if self.smoothed is None else self.smoothed
        self.smoothed = self.smoothing * old + (1 - self.smoothing) * value
        self.peak = max(self.peak, self.smoothed)
        if self.peak > self.floor:
            share = max(self.smoothed - self.floor, 0.0) / (self.peak - self.floor)
            self.factor = min(self.factor, max(self.least, share**self.power))


class PenaltyLR(LRScheduler):
    r"""Lowers the learning rate as a penalty drops from its peak.

    .. math:: η = η_0 \cdot \min_{s \le t} \max\left(\text{least},
        \left(\frac{\bar P_s - \text{floor}}{\max_{r \le s} \bar P_r - \text{floor}}\right)^{\text{power}}\right)

    P̄ is the exponential running mean of the unweighted penalty. The rate never grows again.

    Args:
        optimizer: the optimizer, whose learning rates are all multiplied by the same factor.
        penalty: the penalty to follow; each ``step()`` reads the value of its last call.
        power: the exponent; 1 for a factor in proportion to the drop, 0.5 for its square root.
        smoothing: the share of the running mean that is kept at each step.
        floor: the penalty at which the factor would be 0. A correlation penalty is at least 0.5 a layer.
        least: the smallest factor.

    Raises:
        ValueError: if a parameter is out of range.

    References: Simon 2016, section 5 (as future work).

    Example:
        >>> import torch
        >>> from cofire.nets.penalties import DeCovPenalty
        >>> penalty = DeCovPenalty()
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> scheduler = PenaltyLR(optimizer, penalty, smoothing=0.0)
        >>> for covariance in (1.0, 0.5, 0.7):
        ...     value = penalty(torch.tensor([[1.0, covariance], [-1.0, -covariance]]))
        ...     _ = optimizer.step(), scheduler.step()
        ...     print(f"{value:.2f} {scheduler.get_last_lr()[0]:.3f}")
        1.00 0.100
        0.25 0.025
        0.49 0.025
    """

    def __init__(
        self,
        optimizer: Optimizer,
        penalty: Penalty,
        *,
        power: float = 1.0,
        smoothing: float = 0.9,
        floor: float = 0.0,
        least: float = 0.01,
    ) -> None:
        self._penalty = penalty
        self._drop = _Drop(power=power, smoothing=smoothing, floor=floor, least=least)
        self._begun = False
        super().__init__(optimizer)
        self._begun = True

    def step(self, epoch: int | None = None) -> None:
        """Read the penalty's last value and set the learning rates; ``epoch`` is ignored."""
        if self._begun:
            self._drop.follow(self._penalty)
        super().step()

    def get_lr(self) -> list[Any]:
        """Return the learning rates of the optimizer's groups."""
        return [rate * self._drop.factor for rate in self.base_lrs]

    def __repr__(self) -> str:
        return f"PenaltyLR({self._penalty!r}, {self._drop!r})"

    def state_dict(self) -> dict[str, Any]:
        """Return the state without the optimizer and the penalty, which have their own."""
        state = {name: value for name, value in super().state_dict().items() if name not in ("_penalty", "_drop")}
        return state | {"drop": dict(vars(self._drop))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a ``state_dict()``."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "drop"})
        vars(self._drop).update(state_dict["drop"])


class PenaltyWeight:
    """Lowers the weight of a penalty as the penalty drops from its peak: strong early in training, weak later.

    The formula is that of `PenaltyLR`, with the penalty's current weight in place of the learning rate.

    Args:
        penalty: the penalty, whose weight follows its own unweighted value.
        power: the exponent.
        smoothing: the share of the running mean that is kept at each step.
        floor: the penalty at which the factor would be 0.
        least: the smallest factor.

    Raises:
        ValueError: if a parameter is out of range, or the penalty's weight is a function already.

    Example:
        >>> import torch
        >>> from cofire.nets.penalties import DeCovPenalty
        >>> penalty = DeCovPenalty(weight=0.2)
        >>> scheduler = PenaltyWeight(penalty, smoothing=0.0, power=0.5)
        >>> for covariance in (1.0, 0.5, 0.7):
        ...     _ = penalty(torch.tensor([[1.0, covariance], [-1.0, -covariance]])), scheduler.step()
        ...     print(f"{scheduler.get_last_weight():.2f}")
        0.20
        0.10
        0.10
    """

    def __init__(
        self, penalty: Penalty, *, power: float = 1.0, smoothing: float = 0.9, floor: float = 0.0, least: float = 0.0
    ) -> None:
        if penalty.is_scheduled:
            raise ValueError("the penalty's weight is a function of the step; set it to a number before scheduling it")
        self._penalty = penalty
        self._base = penalty.weight
        self._drop = _Drop(power=power, smoothing=smoothing, floor=floor, least=least)

    def __repr__(self) -> str:
        return f"PenaltyWeight({self._penalty!r}, {self._drop!r})"

    def step(self) -> None:
        """Read the penalty's last value and set its weight."""
        self._drop.follow(self._penalty)
        self._penalty.weight = self._base * self._drop.factor

    def get_last_weight(self) -> float:
        """Return the weight that the last ``step()`` set."""
        return self._penalty.weight

    def state_dict(self) -> dict[str, Any]:
        """Return the state without the penalty, which has its own."""
        return {"base": self._base, "drop": dict(vars(self._drop))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a ``state_dict()``."""
        self._base = state_dict["base"]
        vars(self._drop).update(state_dict["drop"])
        self._penalty.weight = self._base * self._drop.factor
