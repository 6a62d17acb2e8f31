"""Where the units of a group lie along an axis of a tensor."""

import torch
from torch import Tensor

from ..wiring.dimensions import Dimension, root


def places(dimension: Dimension, leaf: Dimension) -> Tensor | None:
    """Return the indices at which each unit lies along an axis; None where units are multiplied with one another.

    Args:
        dimension: of the axis.
        leaf: the units.

    Returns:
        Int64, shape (n_places, n_units); there are several places where channels are flattened with their positions,
        and none where the axis is not of these units.

    Example:
        >>> from cofire.nets.wiring.dimensions import Dimension, product
        >>> channels, positions = Dimension(2), Dimension(3)
        >>> places(product([channels, positions]), channels)
        tensor([[0, 3],
                [1, 4],
                [2, 5]])
    """
    units = _units(dimension, root(leaf))
    if bool((units == SEVERAL).any()):
        return None
    there = (units >= 0).nonzero()[:, 0]
    return there[units[there].argsort(stable=True)].view(leaf.size, -1).T


NONE, SEVERAL = -1, -2


def _units(dimension: Dimension, leaf: Dimension) -> Tensor:
    """Return the unit at each index of a dimension."""
    node = root(dimension)
    if node is leaf:
        return torch.arange(node.size)
    if node.kind == "leaf":
        return torch.full((node.size,), NONE)
    if node.kind == "sum":
        return torch.cat([_units(part, leaf) for part in node.parts])
    units = torch.tensor([NONE])
    for part in node.parts:
        outer, inner = units[:, None], _units(part, leaf)[None]
        clash = (outer != NONE) & (inner != NONE)
        units = torch.where(clash, SEVERAL, torch.where(outer == NONE, inner, outer)).flatten()
    return units
