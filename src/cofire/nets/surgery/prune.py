"""Prune layers to a given width, by redundancy or by magnitude, the usual baseline."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn

from ...stats import Moments
from ...stats._base.wording import plural
from ...stats.redundancy.selection import SPARE, Selection
from ..layer_names import unwrap
from ..layers.patterns import Pattern
from ..loading.batches import as_batches
from .calibrate import moments_of
from .cut_layers import TRANSPOSED, Cuttable, input_axis
from .cuts import Plan, Surgery, carry_out, chosen_links, combining, made_up_by, selection_of, without
from .links import Link, Links
from .trace import copied

Keep: TypeAlias = float | int | Mapping[str, float | int]
Criterion: TypeAlias = Literal["redundancy", "magnitude", "magnitude_refit"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


def prune(
    model: nn.Module,
    data: Any = None,
    *,
    keep: Keep,
    by: Criterion = "redundancy",
    pattern: "Pattern | list[Pattern]" = "*",
) -> Surgery:
    """Cut layers to a wanted number of units, without retraining.

    ``"redundancy"`` keeps the units that explain the others best as linear combinations, each unit weighted by the
    size of the weights that read it. They make up for the others by least squares, as in :func:`fold`.
    ``"magnitude"`` keeps the units with the largest incoming weights and makes up for nothing: the usual baseline.
    ``"magnitude_refit"`` keeps the same units and lets them make up for the others: it separates the gain from the
    choice of units from the gain from the refit.

    Args:
        model: the network; neither it nor its buffers change.
        data: inputs, as for :func:`fold`. It may be left out with ``"magnitude"``; then errors are not predicted, and
            the smaller network is not tried: code that relies on the old number of units fails at the first batch.
        keep: how many units stay: a share in (0, 1], a whole number, or either by layer. At least one unit stays.
        by: the criterion.
        pattern: the layers to cut.

    Returns:
        The smaller network, the cuts, and the layers that were left, as for :func:`fold`.

    Raises:
        ValueError: for a ``keep`` out of range or for an unknown layer, an unknown criterion, missing or too little
            data, or a pattern that matches nothing.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> smaller = prune(model, torch.randn(200, 4), keep=0.5)
        >>> smaller.model[0].out_features, smaller.cuts["0"].errors["2"].relative < 1
        (4, True)
    """
    if by not in CRITERIA:
        raise ValueError(f"by must be one of {', '.join(CRITERIA)}, got {by!r}")
    batches = None if data is None else as_batches(data)
    found = chosen_links(model, pattern)
    net = copied(unwrap(model))
    numbers = _numbers(found, keep)
    return carry_out(net, _plans(net, found, numbers, by, batches), found, batches)


def _plans(net: nn.Module, found: Links, numbers: Mapping[str, int], by: Criterion, batches: Any) -> list[Plan]:
    if by == "magnitude":
        return [without(link, _largest(net, link, numbers[name])) for name, link in found.found.items()]
    if batches is None:
        raise ValueError("making up for removed units needs data; pass inputs, or use by='magnitude'")
    cut = {name: link for name, link in found.found.items() if numbers[name] < link.n_units}
    moments = moments_of(net, cut.values(), batches)
    return [_refit(net, link, moments[name], numbers[name], by) for name, link in cut.items()]


def _refit(net: nn.Module, link: Link, moments: Moments, number: int, by: Criterion) -> Plan:
    """Return the plan in which the units chosen by a criterion make up for the others by least squares."""
    constant = combining(net, link)
    selection = selection_of(moments, constant=constant)
    if number > selection.freedom - SPARE:
        raise ValueError(
            f"{link.layer!r} was seen in {plural(moments.count, 'sample')}, too few to fit {plural(number, 'unit')}; "
            f"pass at least {number + SPARE + 1}"
        )
    if by == "redundancy":
        kept = _most_explaining(net, link, selection, number)
    else:
        kept = _largest(net, link, number).to(selection.usable.device)
        selection.choose_among(kept)
    return made_up_by(link, kept, selection, moments.mean() if constant else None)


def _most_explaining(net: nn.Module, link: Link, selection: Selection, number: int) -> Tensor:
    """Choose the units that explain the others best; return those that stay, ascending."""
    selection.choose_by(_outgoing_square(net, link).to(selection.usable.device), number)
    # Nothing can make up for a unit that the selection cannot use (one that is not finite, say), so it stays.
    stays = ~selection.usable
    stays[selection.chosen] = True
    # The selection stops once all is explained. The number asked for is then filled up with the first units.
    spare = (~stays).nonzero()[: max(0, number - int(stays.sum())), 0]
    stays[spare] = True
    return stays.nonzero()[:, 0]


def _largest(net: nn.Module, link: Link, number: int) -> Tensor:
    """Return the units with the largest incoming weights, ascending."""
    layer = cast(Cuttable, net.get_submodule(link.layer))
    norm = _square_by(layer.weight, 1 if isinstance(layer, TRANSPOSED) else 0)
    return norm.argsort(descending=True, stable=True)[:number].sort().values


def _outgoing_square(net: nn.Module, link: Link) -> Tensor:
    """Return for each unit the squared norm of all weights that read it, float64."""
    total = torch.zeros(link.n_units, dtype=torch.float64)
    for name, layout in link.consumers.items():
        consumer = cast(Cuttable, net.get_submodule(name))
        by_feature = _square_by(consumer.weight, input_axis(consumer)).cpu()
        total += layout.unit_rows(by_feature).sum(0)
    return total


def _square_by(weight: Tensor, axis: int) -> Tensor:
    """Return the squared norm of each slice along an axis, float64."""
    return weight.detach().double().movedim(axis, 0).flatten(1).square().sum(1)


def _numbers(found: Links, keep: Keep) -> dict[str, int]:
    """Return how many units of each layer stay."""
    if not isinstance(keep, Mapping):
        _refuse(keep)
        return {name: _number(keep, link) for name, link in found.found.items()}
    for name, asked in keep.items():
        if name not in found.found:
            raise ValueError(f"{name!r} cannot be cut: {found.left.get(name, 'no layer asked for has that name')}")
        _refuse(asked, f" for layer {name!r}")
    return {name: _number(keep.get(name, 1.0), link) for name, link in found.found.items()}


def _refuse(keep: object, where: str = "") -> None:
    """Refuse a value that is valid for no layer."""
    whole = isinstance(keep, int) and not isinstance(keep, bool) and keep >= 1
    share = isinstance(keep, float) and 0 < keep <= 1
    if not (whole or share):
        raise ValueError(f"keep must be a share above 0 and at most 1, or a whole number above 0; got {keep!r}{where}")


def _number(keep: float | int, link: Link) -> int:
    if isinstance(keep, float):
        return max(1, round(keep * link.n_units))
    if keep > link.n_units:
        raise ValueError(
            f"keep asks for {keep:,} units of layer {link.layer!r}, which has {link.n_units:,}; ask for at most that, "
            f"for a share such as 0.5, or leave the layer out with the pattern '!{link.layer}'"
        )
    return keep
