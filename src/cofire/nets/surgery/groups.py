"""Find the groups of units that can be cut: free ones, whose readers take them in by products."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ..layers.outputs import UNITS_ARE_OUTPUTS
from ..loading.batches import arguments
from ..loading.eval_mode import evaluating
from ..wiring.dimensions import Dimension
from ..wiring.structure import Group, Layer, Wiring
from ..wiring.wiring import wire
from .readings import Reading, Sightings


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
    try:
        with evaluating(net):
            wiring = wire(net, kwargs or args)
    except Exception as error:  # forward is the user's code and may raise anything on fake tensors
        first_line = str(error).strip().partition("\n")[0]
        reason = f"the model could not be followed: {type(error).__name__}: {first_line}"
        return Links({}, {owner(name): reason for name, one in net.named_parameters() if one.ndim > 1}, {})
    why = {group: _why_fixed(group, shared) for group in wiring.groups}
    free = {group: group.readers for group, reason in why.items() if not reason}
    seen = Sightings(net, wiring.dimensions, {group.leaf: readers for group, readers in free.items()})
    seen.run(first)
    why |= {group: seen.reasons.get(group.leaf, "") for group in free}
    layers = _layers_of(wiring)
    found = {}
    for group in free:
        if not why[group]:
            makers = tuple(layer.name for layer in layers[group])
            name = _name(layers[group][0], group)
            found[name] = Link(name, makers, group.size, group.leaf, group.makers, seen.readings[group.leaf])
    cut = {layer for link in found.values() for layer in link.layers}
    left = {layer.name: _why_left(layer, why) for layer in wiring.layers if layer.name not in cut}
    riders = {owner(name) for group in free if not why[group] for name in group.riders}
    idle = {owner(name): reason for name, reason in wiring.left_out.items()}
    left |= {name: reason for name, reason in idle.items() if name not in riders | cut | {*left}}
    return Links(found, left, wiring.dimensions)


def owner(parameter: str) -> str:
    """Return the name of the module that has a parameter; of the parameter itself if that is the whole model."""
    return parameter.rpartition(".")[0] or parameter


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
        return group.fixed or f"its units are {mixed[0]}"
    both = [name for name in group.readers if name in (*group.makers, *group.riders)]
    if both:
        return f"{both[0]} both makes its units and takes them in"
    return "" if group.readers else "no layer takes its units in"


def _layers_of(wiring: Wiring) -> Mapping[Group, list[Layer]]:
    layers = defaultdict(list)
    for layer in wiring.layers:
        for group in layer.group:
            layers[group].append(layer)
    return layers


def _name(layer: Layer, group: Group) -> str:
    return layer.name if len(layer.group) == 1 else f"{layer.name}[{layer.group.index(group)}]"


def _why_left(layer: Layer, why: Mapping[Group, str]) -> str:
    if layer.is_output:
        return UNITS_ARE_OUTPUTS
    return next((why[group] for group in layer.group if why[group]), "it has one unit")
