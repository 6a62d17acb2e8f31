"""What a shrunken network comes to, in words and rows that the terminal and the page share."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from torch import nn

from ...nets.layer_names import named_layers
from ...nets.shrinking import GroupCut, Point, Shrunk
from ...nets.shrinking.cutting import kind_of
from .formatting import MISSING, count, percent, plural


@dataclass(frozen=True)
class GroupRow:
    """Groups of units in a row: one, or all of a kind.

    Attributes:
        name: of the group; layers of one kind are numbered ``#``.
        groups: how many groups there are.
        units: in each of them before.
        kept: how many stay, or from how many to how many.
        predicted: how far the outputs are expected to move by the cut of this group alone; of several, the largest.
    """

    name: str
    groups: int
    units: str
    kept: str
    predicted: str


@dataclass(frozen=True)
class LayerRow:
    """A layer of the plan.

    Attributes:
        name: of the layer.
        kept: how many of its units stay.
        units: how many it had; 0 if only its inputs were cut.
        before: parameters before.
        after: parameters after.
    """

    name: str
    kept: int
    units: int
    before: int
    after: int


def error_text(share: float | None) -> str:
    """Format an error in percent of the outputs' deviation, with three digits that count.

    Example:
        >>> error_text(0.00166), error_text(0.123), error_text(1e-8), error_text(0.0), error_text(None)
        ('0.166 %', '12.3 %', '<0.0001 %', '0 %', '–')
    """
    if share is None or not isfinite(share):
        return MISSING
    if share == 0:
        return "0 %"
    if share < 1e-6:
        return "<0.0001 %"
    return f"{float(f'{100 * share:.3g}'):,.10g} %"


def headline(shrunk: Shrunk) -> str:
    """Return the result in one sentence."""
    if not shrunk.cuts:
        return "Nothing was removed."
    before, after = shrunk.n_parameters
    stay = f"{count(after)} of {count(before)} parameters stay ({percent(after / before)})"
    return f"{stay}, and the outputs move by {error_text(shrunk.measured)}."


def why_nothing(keep: float | None, max_loss: float | None) -> str:
    """Return why nothing was removed, for what was asked."""
    if keep is not None:
        return "--keep 1 asks for the whole network." if keep == 1 else "No layer can be cut that far."
    if max_loss is not None:
        return (
            f"No layer can be cut within --max-loss {max_loss:g}, less a margin of two standard errors. "
            "More data make the margin smaller."
        )
    return "No unit that can be cut is explained exactly by others; --keep and --max-loss allow an error."


def costs(shrunk: Shrunk) -> list[str]:
    """Return what the cut costs, in sentences."""
    before, after = shrunk.n_parameters
    fit, check = shrunk.n_samples
    lines = [
        f"Parameters: {count(before)} before, {count(after)} after ({percent(after / before if before else 1.0)})."
    ]
    if shrunk.per == "flops":
        lines.append(f"Multiplications: {percent(shrunk.share)} of those before.")
    lines.append(f"Outputs move by {error_text(shrunk.measured)} of their standard deviation as measured,")
    predicted = f"{error_text(shrunk.predicted)} predicted to first order"
    lines.append(f"  {'not predicted' if shrunk.predicted is None else predicted}.")
    if shrunk.score is not None:
        lines.append(f"Score: {shrunk.score[0]:.4g} before, {shrunk.score[1]:.4g} after.")
    lines.append(f"Cut and refitted on {plural(fit, 'sample')}, measured on {count(check)} others.")
    return lines


def curve_rows(shrunk: Shrunk) -> list[Point]:
    """Return the points of the curve of which anything is known; those that were measured stand for others there."""
    measured = {one.share for one in shrunk.curve if one.measured is not None}
    return [
        one
        for one in shrunk.curve
        if one.measured is not None or (one.predicted is not None and one.share not in measured)
    ]


def beyond(shrunk: Shrunk, max_loss: float | None) -> str | None:
    """Return a note if the loss on the samples to report on is more than was allowed on those to choose by."""
    if max_loss is None or not shrunk.cuts:
        return None
    if shrunk.score is None:
        lost, what = shrunk.measured, f"the outputs moved by {error_text(shrunk.measured)}"
    else:
        lost = shrunk.score[0] - shrunk.score[1]
        what = f"the score fell by {lost:.3g}"
    if not lost > max_loss + 1e-9:
        return None
    return (
        f"on the {count(shrunk.n_samples[1])} samples that no choice saw, {what}, more than {max_loss:g}; the samples "
        "to choose by were too few. Give more data, or a smaller loss"
    )


def group_rows(shrunk: Shrunk, most: int = 20) -> list[GroupRow]:
    """Return a row for each group, or for all groups of a kind if there are more than ``most``."""
    if len(shrunk.cuts) <= most:
        return [_row(name, [cut]) for name, cut in shrunk.cuts.items()]
    kinds: dict[tuple[str, int], list[GroupCut]] = defaultdict(list)
    first: dict[tuple[str, int], str] = {}
    for name, cut in shrunk.cuts.items():
        key = kind_of(name), cut.n_units
        first.setdefault(key, name)
        kinds[key].append(cut)
    return [_row(key[0] if len(cuts) > 1 else first[key], cuts) for key, cuts in kinds.items()]


def _row(name: str, cuts: list[GroupCut]) -> GroupRow:
    kept = sorted({len(cut.kept) for cut in cuts})
    worst = max((cut.predicted for cut in cuts if isfinite(cut.predicted)), default=None)
    return GroupRow(
        name,
        len(cuts),
        count(cuts[0].n_units),
        count(kept[0]) if len(kept) == 1 else f"{count(kept[0])}–{count(kept[-1])}",
        error_text(worst),
    )


def layer_rows(model: nn.Module, shrunk: Shrunk) -> list[LayerRow]:
    """Return the layers whose parameters were cut, in the order of the network.

    Args:
        model: the network as it was.
        shrunk: what became of it.
    """
    before, after = _own_parameters(model), _own_parameters(shrunk.model)
    by_layer: Mapping[str, tuple[int, int]] = _units(shrunk)
    return [
        LayerRow(name, *by_layer.get(name, (0, 0)), before[name], after[name])
        for name in before
        if name in after and before[name] != after[name]
    ]


def _units(shrunk: Shrunk) -> dict[str, tuple[int, int]]:
    """Return for each layer how many units stay, and how many there were: of several groups, the product."""
    found: dict[str, tuple[int, int]] = {}
    for cut in shrunk.cuts.values():
        for layer in cut.layers:
            kept, units = found.get(layer, (1, 1))
            found[layer] = kept * len(cut.kept), units * cut.n_units
    return found


def _own_parameters(model: nn.Module) -> dict[str, int]:
    return {
        name: sum(one.numel() for one in layer.parameters(recurse=False)) for name, layer in named_layers(model).items()
    }
