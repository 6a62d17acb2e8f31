"""The samples that are continuous in both units of many pairs, packed side by side: tensors."""

from typing import NamedTuple

import torch
from torch import Tensor

from .units import Units


class Shared(NamedTuple):
    """Samples that are continuous in both units, by ascending score of the first; each of shape (n_pairs, width).

    Attributes:
        x, y: scores of the two units, float32, padded with ∞ and with 0.
        x_value, y_value: the samples themselves, float32, padded with 0.
        y_ascending: the scores of the second unit in their own order, padded with ∞.
        number: how many samples these are, shape (n_pairs, 1).
    """

    x: Tensor
    y: Tensor
    x_value: Tensor
    y_value: Tensor
    y_ascending: Tensor
    number: Tensor

    @property
    def held(self) -> Tensor:
        """Which places hold a sample, bool, shape (n_pairs, width)."""
        return torch.arange(self.x.shape[1], device=self.x.device) < self.number

    def of(self, pairs: Tensor) -> "Shared":
        """The same of some of the pairs."""
        return Shared(*(field[pairs] for field in self))


def shared_samples(units: Units, pairs: Tensor, width: int) -> Shared:
    """What ``pairs``, shape (n_pairs, 2), share; no more than ``width`` samples each."""
    i, j = pairs.T
    both = (units.label[i] == 0) & (units.label[j] == 0)
    by_x, by_y = units.order[i], units.order[j]
    in_x, in_y = both.gather(1, by_x), both.gather(1, by_y)
    to_x, to_y = slots(in_x), slots(in_y)
    return Shared(
        x=packed(units.score[i].gather(1, by_x), to_x, width, torch.inf),
        y=packed(units.score[j].gather(1, by_x), to_x, width, 0.0),
        x_value=packed(units.value[i].gather(1, by_x), to_x, width, 0.0),
        y_value=packed(units.value[j].gather(1, by_x), to_x, width, 0.0),
        y_ascending=packed(units.score[j].gather(1, by_y), to_y, width, torch.inf),
        number=both.sum(dim=1, keepdim=True),
    )


def slots(kept: Tensor) -> Tensor:
    """Where each of those kept comes to stand if they close ranks, from 1; 0 for the others."""
    return kept.cumsum(dim=1) * kept


def packed(values: Tensor, slot: Tensor, width: int, padding: float) -> Tensor:
    """Values moved to their slots, without the one numbered 0."""
    out = values.new_full((len(values), width + 1), padding)
    return out.scatter_(1, slot, values)[:, 1:].contiguous()
