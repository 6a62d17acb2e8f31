"""Fold networks: remove units that others explain, and hand their weights to those others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...stats._base.definitions import EXACT
from ..layers.patterns import Pattern
from .cuts import Surgery, admitted, carry_out
from .groups import Link
from .refit import Plan
from .sources import Source, sources_of

LEAST_SHARE = 1e-6  # a unit's variance counts as at least this share of its second moment


def fold(model: nn.Module, data: Any, *, tolerance: float = EXACT, pattern: "Pattern | list[Pattern]" = "*") -> Surgery:
    r"""Remove units that are constant, duplicate, negated or linear combinations of others, keeping the function.

    A unit h_r that enters the next layer as :math:`h_r ≈ \sum_s a_{rs} h_s + b_r` is removed there by
    :math:`w_s ← w_s + \sum_r a_{rs} w_r` and bias :math:`← bias + \sum_r b_r w_r`. The a and b are least-squares
    coefficients over the data, on a greedily chosen set of units
    (:class:`~cofire.stats.redundancy.selection.Selection`). With exact redundancy the outputs stay equal up to
    rounding; otherwise the error of each cut is predicted.

    The units are those of the model's wiring (:func:`cofire.nets.wire`): a group of units is cut out of every tensor
    that has them on an axis. That needs a group whose readers all take it in from one tensor, by a product with a
    weight: linear layers, convolutions, or ``x @ w`` in code of the model's own. All other layers are in ``left``, with
    the reason. If a reader has no bias, or pads with zeros, it cannot absorb a constant: then a_rs alone make up for a
    unit. Each cut is tried on the first batch; where the code counts on the old size, the layer is left.

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
    patient = admitted(model, data, pattern)
    found = patient.links.found
    sources = sources_of(patient.net, found.values(), patient.batches)
    return carry_out(patient, [_plan(link, sources[name], tolerance) for name, link in found.items()])


def _plan(link: Link, sources: Sequence[Source], tolerance: float) -> Plan:
    """Return the plan in which units go that are explained in every tensor from which they are read."""
    selections, stays = [], torch.zeros(link.n_units, dtype=torch.bool)
    for source in sources:
        selection = source.selection()
        if selections:
            selection.choose_among(stays.nonzero()[:, 0].to(selection.usable.device))
        selection.choose_until_explained(_share(source, tolerance))
        here = ~selection.explained
        here[selection.chosen] = True
        stays = stays.to(here.device) | here
        selections.append(selection)
    stays[0] |= ~stays.any()
    kept = stays.nonzero()[:, 0]
    return Plan(link, kept, [source.made_up(kept, one) for source, one in zip(sources, selections, strict=True)])


def _share(source: Source, tolerance: float) -> float | Tensor:
    """Return the share of each unit that may stay unexplained.

    Without a constant, selection works on second moments; a unit is still judged by its variance.
    """
    if source.constant:
        return tolerance
    variance = source.moments.variance()
    varies = variance / (variance + source.moments.mean().square())
    return tolerance * varies.nan_to_num(1.0).clamp(min=LEAST_SHARE)
