"""What :mod:`.deterministic` does, in operations on tensors: whether one unit is a function of the other."""

import torch
from torch import Tensor

from .torch_neighbors import Near
from .torch_shared import Shared

FEW = 20  # fewer samples than that can be in the same order by chance
ON_A_LINE = 1e-11  # 1 − r² that rounding to float32 leaves
UNTIED_SHARE = 0.05


def known_information(shared: Shared) -> Tensor:
    """Information of the pairs whose order says that it is infinite, NaN for others; float64, shape (n_pairs,).

    Where next to all samples are tied, the levels are atoms, and it is their entropy. Too few are a line or nothing.
    """
    few = shared.number[:, 0] < FEW
    known = torch.full_like(few, torch.nan, dtype=torch.float64)
    if len(same := (_same_order(shared) & ~few).nonzero()[:, 0]):
        known[same] = _information_of_levels(shared.of(same))
    if len(some := few.nonzero()[:, 0]):
        few_samples = Shared(*(field[some, :FEW] for field in shared))
        x, y = (value - value[:, :1] for value in (few_samples.x_value, few_samples.y_value))
        known[some[_on_a_line(x, y, few_samples.held, ON_A_LINE)]] = torch.inf
    return known


def shares_on_lines(shared: Shared, near: Near, k: int) -> Tensor:
    """Share of each pair's samples that lie on a line with their neighbors, as those on a curve do; (n_pairs,).

    Args:
        shared: the samples.
        near: their neighbors; those beyond the k-th count where they are as near.
        k: how many neighbors make a neighborhood.
    """
    within = near.distance <= near.distance[:, k - 1 : k]
    place = near.place.clamp(0, shared.x.shape[1] - 1)
    x, y = (
        value.gather(1, place.flatten(1)).view(place.shape) - value[:, None]
        for value in (shared.x_value, shared.y_value)
    )
    # the sample itself is one of those that may share a line
    itself = torch.zeros_like(x[:, :1])
    members = torch.cat([torch.ones_like(within[:, :1]), within], dim=1)
    tolerance = (0.02 / shared.number.double()).clamp(min=1e-6)
    lines = _on_a_line(torch.cat([itself, x], dim=1), torch.cat([itself, y], dim=1), members, tolerance)
    return (lines & shared.held).sum(dim=1).double() / shared.number[:, 0]


def _same_order(shared: Shared) -> Tensor:
    """Whether the values ascend, or descend, where the first unit's do, and are tied where they are."""
    held = shared.held[:, 1:]
    x, y = (value.diff(dim=1).sign() for value in (shared.x_value, shared.y_value))
    return ((x == y) | ~held).all(dim=1) | ((x == -y) | ~held).all(dim=1)


def _information_of_levels(shared: Shared) -> Tensor:
    held, number = shared.held, shared.number.double()[:, 0]
    rises = (shared.x_value.diff(dim=1) > 0) & held[:, 1:]
    level = torch.cat([torch.zeros_like(held[:, :1], dtype=torch.int64), rises.cumsum(dim=1)], dim=1)
    counts = torch.zeros_like(number[:, None]).expand(level.shape).scatter_add(1, level, held.double())
    n_levels, n_untied = (counts > 0).sum(dim=1), (counts == 1).sum(dim=1)
    entropy = number.log() - torch.special.xlogy(counts, counts).sum(dim=1) / number + (n_levels - 1) / (2 * number)
    return torch.where(n_untied > UNTIED_SHARE * number, torch.inf, entropy)


def _on_a_line(x: Tensor, y: Tensor, members: Tensor, tolerance: Tensor | float) -> Tensor:
    """1 − r² < tolerance along the axis 1; points that do not vary in one of the coordinates are no line.

    Args:
        x: differences from one of the members.
        y: likewise.
        members: which of them count.
        tolerance: of what is left of the axes.
    """
    n = members.sum(dim=1).double()
    a, b = (torch.where(members, differences, 0.0).double() for differences in (x, y))
    sum_x, sum_y = a.sum(dim=1), b.sum(dim=1)
    spread = ((a * a).sum(dim=1) - sum_x * sum_x / n) * ((b * b).sum(dim=1) - sum_y * sum_y / n)
    common = (a * b).sum(dim=1) - sum_x * sum_y / n
    return (n >= 4) & (spread - common * common < tolerance * spread)
