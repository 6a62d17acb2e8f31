"""Prune layers to a given width, by redundancy or by magnitude, the usual baseline."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ...stats._base.wording import plural
from ...stats.redundancy.selection import SPARE, Selection
from ..layers.patterns import Pattern
from ..wiring.dimensions import leaves
from .cut_groups import named_tensors
from .cuts import Patient, Surgery, admitted, carry_out
from .groups import Link, Links
from .refit import Plan
from .sources import Source, nothing, sources_of
from .tensor_axes import places

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
        data: inputs, as for :func:`fold`. One batch is enough for ``"magnitude"``.
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
    if data is None:
        raise ValueError("prune runs the model to see how its units are wired; pass inputs, a batch will do")
    patient = admitted(model, data, pattern)
    return carry_out(patient, _plans(patient, _numbers(patient.links, keep), by))


def _plans(patient: Patient, numbers: Mapping[str, int], by: Criterion) -> list[Plan]:
    cut = {name: link for name, link in patient.links.found.items() if numbers[name] < link.n_units}
    if by == "magnitude":
        largest = [(link, _largest(patient, link, numbers[name])) for name, link in cut.items()]
        return [Plan(link, kept, [nothing(kept, link.n_units)] * link.n_sources) for link, kept in largest]
    sources = sources_of(patient.net, cut.values(), patient.batches)
    return [_refit(patient, link, sources[name], numbers[name], by) for name, link in cut.items()]


def _refit(patient: Patient, link: Link, sources: Sequence[Source], number: int, by: Criterion) -> Plan:
    """Return the plan in which the units chosen by a criterion make up for the others by least squares."""
    selections = [source.selection() for source in sources]
    if number > min(one.freedom for one in selections) - SPARE:
        n_seen = min(source.moments.count for source in sources)
        raise ValueError(
            f"{link.name!r} was seen in {plural(n_seen, 'sample')}, too few to fit {plural(number, 'unit')}; "
            f"pass at least {number + SPARE + 1}"
        )
    if by == "redundancy":
        kept = _most_explaining(patient, link, selections, number)
    else:
        kept = _largest(patient, link, number).to(selections[0].usable.device)
    for selection in selections:
        selection.choose_among(kept)
    return Plan(link, kept, [source.made_up(kept, one) for source, one in zip(sources, selections, strict=True)])


def _most_explaining(patient: Patient, link: Link, selections: Sequence[Selection], number: int) -> Tensor:
    """Choose the units that explain the others best; return those that stay, ascending.

    Each unit is weighted by the weights that read it, in each tensor from which it is read.
    """
    gram, usable = torch.zeros_like(selections[0].gram), torch.ones_like(selections[0].usable)
    for source, selection in enumerate(selections):
        weight = _square(patient, link, link.readers(source)).sqrt().to(gram.device)
        gram += weight[:, None] * selection.gram * weight
        usable &= selection.usable
    joint = Selection(gram, freedom=selections[0].freedom)
    joint.choose_by(torch.ones(link.n_units, device=gram.device), number)
    # Nothing can make up for a unit that the selection cannot use (one that is not finite, say), so it stays.
    stays = ~usable
    stays[joint.chosen] = True
    # The selection stops once all is explained. The number asked for is then filled up with the first units.
    spare = (~stays).nonzero()[: max(0, number - int(stays.sum())), 0]
    stays[spare] = True
    return stays.nonzero()[:, 0]


def _largest(patient: Patient, link: Link, number: int) -> Tensor:
    """Return the units with the largest incoming weights, ascending."""
    norm = _square(patient, link, link.makers)
    return norm.argsort(descending=True, stable=True)[:number].sort().values


def _square(patient: Patient, link: Link, parameters: Iterable[str]) -> Tensor:
    """Return for each unit of a group the squared norm of its slices of parameters, float64."""
    total = torch.zeros(link.n_units, dtype=torch.float64)
    for name in parameters:
        weight = named_tensors(patient.net)[name].detach().double().cpu()
        for axis, dimension in enumerate(patient.links.dimensions[name]):
            if link.leaf in leaves(dimension) and (where := places(dimension, link.leaf)) is not None:
                by_index = weight.movedim(axis, 0).reshape(dimension.size, -1).square().sum(1)
                total += by_index[where].sum(0)
    return total


def _numbers(asked: Links, keep: Keep) -> dict[str, int]:
    """Return how many units of each group stay."""
    if not isinstance(keep, Mapping):
        _refuse(keep)
        return {name: _number(keep, link) for name, link in asked.found.items()}
    wanted: dict[str, float | int] = {}
    for name, number in keep.items():
        named = [key for key, link in asked.found.items() if name == key or name in link.layers]
        if not named:
            raise ValueError(f"{name!r} cannot be cut: {asked.left.get(name, 'no layer asked for has that name')}")
        if len(named) > 1 and name not in named:
            raise ValueError(f"the units of {name!r} fall into several groups; name one of them: {', '.join(named)}")
        _refuse(number, f" for layer {name!r}")
        wanted[name if name in named else named[0]] = number
    return {name: _number(wanted.get(name, 1.0), link) for name, link in asked.found.items()}


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
            f"keep asks for {keep:,} units of layer {link.name!r}, which has {link.n_units:,}; ask for at most that, "
            f"for a share such as 0.5, or leave the layer out with the pattern '!{link.name}'"
        )
    return keep
