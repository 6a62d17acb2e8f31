"""Let the units that stay make up for those that go: new weights for the layers that take them in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .cut_groups import named_tensors
from .groups import Link
from .readers import Reading
from .sources import MadeUp, others


@dataclass(frozen=True)
class Plan:
    """The plan of a cut.

    Attributes:
        link: the group.
        kept: ascending indices of the units that stay, shape (n_kept,).
        made_up: for each tensor from which the units are read, how those that stay make up for the others.
    """

    link: Link
    kept: Tensor
    made_up: Sequence[MadeUp]

    @property
    def removed(self) -> Tensor:
        """Ascending indices of the units to remove."""
        return others(self.kept, self.link.n_units)


def refitted(net: nn.Module, plans: Iterable[Plan]) -> dict[str, Tensor]:
    """Return the readers' weights and biases after all plans; they have their full size, with 0 for removed units."""
    weights = {name: one.detach() for name, one in named_tensors(net).items()}
    changed: dict[str, Tensor] = {}
    for plan in plans:
        for name, reading in plan.link.readings.items():
            changed[name], added = _refitted(plan, reading, changed.get(name, weights[name]))
            if reading.bias:
                bias = changed.get(reading.bias, weights[reading.bias])
                changed[reading.bias] = (bias.double() + added).to(bias.dtype)
    return changed


def _refitted(plan: Plan, reading: Reading, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a reader's new weight, and what the constants add to each of its outputs."""
    made_up, removed, device = plan.made_up[reading.source], plan.removed.to(weight.device), weight.device
    by_input = weight.to(torch.float64, copy=True).movedim(reading.axis, 0)  # (inputs, outputs, ...)
    by_unit = by_input[reading.places.to(device)]  # (n_places, n_units, outputs, ...)
    gone = by_unit[:, removed]
    by_unit[:, plan.kept.to(device)] += torch.einsum("kr,pr...->pk...", made_up.mixing.to(device), gone)
    by_unit[:, removed] = 0
    by_input[reading.places.to(device)] = by_unit
    added = torch.einsum("r,pr...->...", made_up.constant.to(device), gone)  # (outputs, ...)
    return torch.empty_like(weight).copy_(by_input.movedim(0, reading.axis)), added.flatten(1).sum(
        1
    ) if added.dim() > 1 else added
