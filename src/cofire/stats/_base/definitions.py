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

NEARLY_ZERO = 1e-4
"""A unit is *dead by its weights* if their norm is below this share of the median norm of its layer's units.

Weight decay shrinks a unit that nothing reads by a factor at each step, and rarely to exactly 0. In trained networks
norms lie either within two orders of magnitude of the median, or far below it.
"""

NORM_EPSILON = 1e-5
"""What batch norm adds to the variance in torch by default; files of weights do not hold it."""


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


def are_nearly_zero(norms: Tensor) -> Tensor:
    """Return which units are dead by the norms of their weights, bool, of the same shape; those not finite are not.

    Example:
        >>> import torch
        >>> are_nearly_zero(torch.tensor([1.0, 2.0, 3.0, 1e-5, 0.0, torch.nan]))
        tensor([False, False, False,  True,  True, False])
    """
    known = norms[norms.isfinite()]
    limit = NEARLY_ZERO * known.median() if len(known) else norms.new_zeros(())
    return (norms < limit) | (norms == 0)


def are_switched_off(scale: Tensor, variance: Tensor) -> Tensor:
    """Return which channels a batch norm has *switched off*: they leave it with nearly no variance, compared to others.

    On the training data a channel left the norm with the standard deviation ``abs(scale) sqrt(v / (v + epsilon))``, v
    its running variance. Where that is below ``NEARLY_ZERO`` of the layer's median, it is as good as constant.

    Args:
        scale: the norm's weight, shape (n_channels,).
        variance: its running variance, shape (n_channels,).

    Example:
        >>> import torch
        >>> are_switched_off(torch.tensor([1.0, 1.0, 1e-6, 2.0, 0.5]), torch.tensor([0.5, 0.0, 0.5, 0.1, 0.1]))
        tensor([False,  True,  True, False, False])
    """
    variance = variance.double()
    return are_nearly_zero(scale.double().abs() * (variance / (variance + NORM_EPSILON)).sqrt())
