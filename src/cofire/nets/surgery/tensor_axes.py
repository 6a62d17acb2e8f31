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
    units = units_along(dimension, leaf)
    if units is None:
        return None
    there = (units >= 0).nonzero()[:, 0]
    return there[units[there].argsort(stable=True)].view(root(leaf).size, -1).T


def units_along(dimension: Dimension, leaf: Dimension) -> Tensor | None:
    """Return the unit at each index of a dimension, -1 where there is none; None where units meet one another.

    Example:
        >>> from cofire.nets.wiring.dimensions import Dimension, product, total
        >>> heads, size = Dimension(2), Dimension(3)
        >>> units_along(total([product([heads, size]), Dimension(1)]), heads)
        tensor([ 0,  0,  0,  1,  1,  1, -1])
    """
    node, leaf = root(dimension), root(leaf)
    if node is leaf:
        return torch.arange(node.size)
    if node.kind == "leaf":
        return torch.full((node.size,), -1)
    parts = [units_along(part, leaf) for part in node.parts]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if node.kind == "sum":
        return torch.cat(known)
    units = torch.tensor([-1])
    for part in known:
        outer, inner = units[:, None], part[None]
        if bool(((outer >= 0) & (inner >= 0)).any()):
            return None
        units = torch.maximum(outer, inner).flatten()
    return units
