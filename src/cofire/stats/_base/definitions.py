"""The definitions of copy, dead and redundant: one each, for inspecting, reporting and cutting networks alike.

*Output layer*, the fourth, needs a model: see :mod:`cofire.nets.layers.outputs`.
"""

from torch import Tensor

COPY = 0.99
"""Two units are *copies* if |ρ| of their activations (or |cosine| of their incoming weights) is at least this.

At 0.99 a unit leaves at most 2 % of its copy's variance unexplained. A negated copy counts: the next layer can take it
up with its sign changed. Cutting "without a change" asks for more than a copy, see ``EXACT``.
"""

EXACT = 1e-8
"""Largest share of a unit's variance that others may leave unexplained if removing it is to change rounding alone."""

UNEXPLAINED = 0.05
"""Units are *redundant* if the others can be combined linearly so that, on average over the layer's units, at most this
share of a unit's variance is left unexplained. The units that remain are the recommended width."""


def are_copies(likeness: Tensor) -> Tensor:
    """Return which correlations or cosines mark copies, bool, of the same shape; NaN marks none.

    Example:
        >>> import torch
        >>> are_copies(torch.tensor([0.98, 0.995, -1.0, torch.nan]))
        tensor([False,  True,  True, False])
    """
    return likeness.abs() >= COPY


def are_dead(spread: Tensor) -> Tensor:
    """Return which units are *dead*, bool, of the same shape: those that never vary.

    Args:
        spread: the variance of each unit's activations, or the norm of its incoming weights; exactly 0 for a unit that
            says the same of every input. NaN (not known) is not dead.

    Example:
        >>> import torch
        >>> are_dead(torch.tensor([0.0, 1e-30, torch.nan]))
        tensor([ True, False, False])
    """
    return spread == 0
