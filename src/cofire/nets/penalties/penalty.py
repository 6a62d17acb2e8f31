"""The base class of all penalties: a weight, the sum over layers, and the last values."""

from abc import ABC
from collections.abc import Callable
from math import isfinite
from typing import Self

import torch
from torch import Tensor, nn

from ...stats._base.argument_checks import as_number
from ..torch_private import without_transforms


class Penalty(nn.Module, ABC):
    """A penalty to add to the loss of any training loop: ``penalty()`` returns the weighted sum over layers.

    Args:
        weight: a number of at least 0, or a function from the number of training steps so far to one. A step is a call
            with gradients enabled. The number of steps is part of ``state_dict()``.

    Attributes:
        values: the unweighted penalty of each layer at the last call, detached; inside ``torch.func.vmap`` one number
            for each of the batch.
        n_steps: training steps so far.
    """

    def __init__(self, *, weight: float | Callable[[int], float] = 1.0) -> None:
        super().__init__()
        self.values: dict[str, Tensor] = {}
        self.n_steps = 0
        self._weight = weight if callable(weight) else _checked(weight)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        weight = getattr(self._weight, "__name__", "scheduled") if callable(self._weight) else self._weight
        return f"weight={weight}"

    @property
    def weight(self) -> float:
        """Weight of the next call."""
        return _checked(self._weight(self.n_steps)) if callable(self._weight) else self._weight

    @weight.setter
    def weight(self, weight: float | Callable[[int], float]) -> None:
        self._weight = weight if callable(weight) else _checked(weight)

    @property
    def is_scheduled(self) -> bool:
        """Whether the weight is a function of the step."""
        return callable(self._weight)

    @property
    def value(self) -> Tensor | None:
        """Unweighted sum over layers at the last call, detached; None before the first."""
        return _total(list(self.values.values())) if self.values else None

    def close(self) -> None:
        """Release the model and remove all hooks; leaving a ``with`` block does the same."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def get_extra_state(self) -> dict[str, int]:
        """Return the number of steps, for ``state_dict()``."""
        return {"n_steps": self.n_steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Set the number of steps, for ``load_state_dict()``."""
        self.n_steps = state["n_steps"]

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        self.values = {site: without_transforms(term.detach()) for site, term in terms.items()}
        penalty = self.weight * _total(list(terms.values()))
        self.n_steps += torch.is_grad_enabled()
        return penalty


def _total(terms: list[Tensor]) -> Tensor:
    """Return the sum on the device of the first term: the layers of a model may be on several devices."""
    return torch.stack([term.to(terms[0].device) for term in terms]).sum(0)


def _checked(weight: float) -> float:
    number = as_number(weight)
    if number is None or not (isfinite(number) and number >= 0):
        raise ValueError(f"the weight of a penalty must be a finite number of at least 0, got {weight!r}")
    return weight
