"""Fold networks: remove units that others explain, and hand their weights to those others."""

from typing import Any

from torch import Tensor, nn

from ...stats import Moments
from ...stats._base.definitions import EXACT
from ..layer_names import unwrap
from ..layers.patterns import Pattern
from ..loading.batches import as_batches
from .calibrate import moments_of
from .cuts import Plan, Surgery, carry_out, chosen_links, combining, made_up_by, selection_of
from .links import Link
from .trace import copied

LEAST_SHARE = 1e-6  # a unit's variance counts as at least this share of its second moment


def fold(model: nn.Module, data: Any, *, tolerance: float = EXACT, pattern: "Pattern | list[Pattern]" = "*") -> Surgery:
    r"""Remove units that are constant, duplicate, negated or linear combinations of others, keeping the function.

    A unit h_r that enters the next layer as :math:`h_r ≈ \sum_s a_{rs} h_s + b_r` is removed there by
    :math:`w_s ← w_s + \sum_r a_{rs} w_r` and bias :math:`← bias + \sum_r b_r w_r`. The a and b are least-squares
    coefficients over the data, on a greedily chosen set of units
    (:class:`~cofire.stats.redundancy.selection.Selection`). With exact redundancy the outputs stay equal up to
    rounding; otherwise the error of each cut is predicted.

    A linear or convolution layer is cut if its units reach linear or convolution layers only through activations, batch
    and instance normalization, dropout, pooling and flattening. All other layers are in ``left``, with the reason. If
    the next layer has no bias, or pads with zeros, it cannot absorb a constant: then a_rs alone make up for a unit.

    Args:
        model: the network; neither it nor its buffers change.
        data: inputs to learn the units' relations from, run in eval mode: a tensor, or a collection of batches (of
            tensors, (inputs, ...) or keyword inputs) that can be iterated over several times.
        tolerance: a unit is removed if the others leave at most this share of its variance unexplained (1 − R²,
            adjusted for the number of samples).
        pattern: the layers whose units may be removed.

    Returns:
        The smaller network, the cuts with their predicted errors, and the layers that were left. Each layer keeps at
        least one unit. In training mode the networks differ if dropout follows: copies were dropped independently.

    Raises:
        ValueError: for a tolerance outside [1e-12, 1), data that cannot be used, or a pattern that matches nothing.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> with torch.no_grad():
        ...     model[0].weight[2], model[0].bias[2] = -model[0].weight[0], -model[0].bias[0]
        >>> x = torch.randn(100, 4)
        >>> smaller = fold(model, x)
        >>> smaller.cuts["0"].kept, smaller.model[0]
        ((0, 1), Linear(in_features=4, out_features=2, bias=True))
        >>> torch.allclose(smaller.model(x), model(x), atol=1e-6)
        True
    """
    if not 1e-12 <= tolerance < 1:
        raise ValueError(f"tolerance must be a share of variance, at least 1e-12 and below 1; got {tolerance}")
    batches = as_batches(data)
    found = chosen_links(model, pattern)
    net = copied(unwrap(model))
    moments = moments_of(net, found.found.values(), batches)
    plans = [_plan(net, link, moments[name], tolerance) for name, link in found.found.items()]
    return carry_out(net, plans, found, batches)


def _plan(net: nn.Module, link: Link, moments: Moments, tolerance: float) -> Plan:
    constant = combining(net, link)
    selection = selection_of(moments, constant=constant)
    share: float | Tensor = tolerance
    if not constant:
        # Without a constant, selection works on second moments; a unit is still judged by its variance.
        variance = moments.variance()
        varies = variance / (variance + moments.mean().square())
        share = tolerance * varies.nan_to_num(1.0).clamp(min=LEAST_SHARE)
    selection.choose_until_explained(share)
    stays = ~selection.explained
    stays[selection.chosen] = True
    stays[0] |= ~stays.any()
    return made_up_by(link, stays.nonzero()[:, 0], selection, moments.mean() if constant else None)
