"""Find the groups of units that can be cut: free ones, whose readers take them in by products."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ..layers.outputs import UNITS_ARE_OUTPUTS
from ..loading.batches import arguments
from ..loading.eval_mode import evaluating
from ..wiring.dimensions import Dimension
from ..wiring.wired_layers import Group, Layer
from ..wiring.wiring import wire
from .readers import Reading, Sightings


@dataclass(frozen=True, eq=False)
class Link:
    """A group of units that can be cut.

    Attributes:
        name: of the first layer that makes the units, numbered if its units fall into several groups.
        layers: all layers that make them.
        n_units: their number.
        leaf: the dimension that stands for them.
        makers: names of the weights that make them.
        readings: for each weight that takes them in, how it does.
    """

    name: str
    layers: tuple[str, ...]
    n_units: int
    leaf: Dimension
    makers: tuple[str, ...]
    readings: Mapping[str, Reading]

    @property
    def n_sources(self) -> int:
        """From how many tensors the units are read."""
        return 1 + max(one.source for one in self.readings.values())

    def readers(self, source: int) -> list[str]:
        """Return the weights that read the units from one of the tensors."""
        return [name for name, one in self.readings.items() if one.source == source]


@dataclass(frozen=True, eq=False)
class Links:
    """The groups that can be cut, why other layers cannot be, and the dimensions of all parameters and buffers."""

    found: Mapping[str, Link]
    left: Mapping[str, str]
    dimensions: Mapping[str, tuple[Dimension, ...]]


def links(net: nn.Module, first: Any, shared: Collection[str] = ()) -> Links:
    """Return the groups of a network that can be cut.

    Args:
        net: a copy of the network, whose parameters share no memory.
        first: the first batch of the data; it shows how the network runs.
        shared: names of parameters that shared memory before the network was copied.
    """
    args, kwargs = arguments(net, first)
    with evaluating(net):
        wiring = wire(net, kwargs or args)
    if wiring.one_way or not wiring.groups:
        note = wiring.one_way or next(iter(wiring.notes), "none of its layers makes units")
        reason = f"the model could not be followed in all that it may do: {note}"
        return Links({}, {owner(name): reason for name, one in net.named_parameters() if one.ndim > 1}, {})
    why = {group: _why_fixed(group, shared) for group in wiring.groups}
    free = {group: group.readers for group, reason in why.items() if not reason}
    seen = Sightings(net, wiring.dimensions, {group.leaf: readers for group, readers in free.items()})
    seen.run(first)
    why |= {group: seen.reasons.get(group.leaf, "") for group in free}
    titles = titles_of(wiring.layers)
    found = {}
    for group in free:
        if not why[group]:
            makers = [layer for layer in wiring.layers if group in layer.group]
            named = tuple(dict.fromkeys(titles[layer] for layer in makers))
            place = f"[{makers[0].group.index(group)}]" if len(makers[0].group) > 1 else ""
            readings = seen.readings[group.leaf]
            found[named[0] + place] = Link(named[0] + place, named, group.size, group.leaf, group.makers, readings)
    cut = {layer for link in found.values() for layer in link.layers}
    cut |= {owner(name) for group in free if not why[group] for name in group.riders}
    left = {titles[layer]: why_left(layer, why) for layer in reversed(wiring.layers)}
    left = {owner(name): reason for name, reason in wiring.left_out.items()} | dict(reversed(left.items()))
    return Links(found, {name: reason for name, reason in left.items() if name not in cut}, wiring.dimensions)


def titles_of(layers: Sequence[Layer]) -> dict[Layer, str]:
    """Return the names to show: the module's, unless several of its parameters make different units."""
    groups = defaultdict(set)
    for layer in layers:
        groups[owner(layer.parameter)].add(layer.group)
    return {
        layer: owner(layer.parameter) if len(groups[owner(layer.parameter)]) == 1 else layer.name for layer in layers
    }


def owner(parameter: str) -> str:
    """Return the name of the module that has a parameter; of the parameter itself if that is the whole model.

    Example:
        >>> owner("encoder.fc.weight"), owner("fc.parametrizations.weight.original0"), owner("table")
        ('encoder.fc', 'fc', 'table')
    """
    before, parametrized, _ = f".{parameter}".partition(".parametrizations.")
    return (before if parametrized else before.rpartition(".")[0])[1:] or parameter


def memory_shared(model: nn.Module) -> frozenset[str]:
    """Return the names of parameters whose memory overlaps that of others, as a transposed view of another does."""
    places = sorted((*_memory(one), name) for name, one in model.named_parameters())
    pairs = [(a, b) for (_, end, a), (start, stop, b) in pairwise(places) if start < end and stop]
    return frozenset(name for pair in pairs for name in pair)


def _memory(parameter: Tensor) -> tuple[int, int]:
    start = 0 if nn.parameter.is_lazy(parameter) else parameter.data_ptr()
    return start, start + parameter.nbytes if start else 0


def _why_fixed(group: Group, shared: Collection[str]) -> str:
    """Return why a group can't be cut; empty if its readers decide."""
    if tied := sorted({*group.makers, *group.readers, *group.riders} & {*shared}):
        return f"{tied[0]} shares its memory with another parameter (tied weights)"
    mixed = sorted(mark for mark in group.marks if mark != "equal groups")  # those of a convolution are cut with it
    if group.fixed or mixed:
        return f"its units are fixed: {group.fixed}" if group.fixed else f"its units are {mixed[0]}"
    if both := [name for name in group.readers if name in group.riders]:
        return f"{both[0]} reads its units and scales them"
    return "" if group.readers else "no layer reads its units"


def why_left(layer: Layer, why: Mapping[Group, str]) -> str:
    """Return why a layer's units can't be cut, given the reasons of groups."""
    if layer.is_output:
        return UNITS_ARE_OUTPUTS
    return next(
        (why[group] for group in layer.group if why[group]),
        "its units are used one by one" if layer.units > 1 else "it has one unit",
    )
