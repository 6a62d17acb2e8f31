"""Find the layers that can be cut, by following the units of each to the layers that take them in."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from torch import Tensor, fx, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

from ...stats._base.wording import plural, with_article
from ..capturing.hooks import users_hooks
from ..layer_names import first_names, unwrap
from ..layers.outputs import UNITS_ARE_OUTPUTS, returns_units
from .cut_layers import CONVOLUTIONS, CUTTABLE, Cuttable, Layout, n_features, n_inputs, n_units
from .trace import traced
from .traced_operations import (
    BATCH_NORMS,
    INSTANCE_NORMS,
    Place,
    joins_others,
    only_reads,
    through_function,
    through_module,
)


@dataclass(frozen=True)
class Link:
    """A layer, the modules on the way with parameters for each of its units, and the layers that take the units in.

    Attributes:
        layer: name of the layer.
        n_units: its number of units.
        carriers: normalizations and the like by name, with the layout of the units in their features.
        consumers: layers that take the units in by name, with the layout of the units in their inputs.
    """

    layer: str
    n_units: int
    carriers: Mapping[str, Layout]
    consumers: Mapping[str, Layout]


@dataclass(frozen=True)
class Links:
    """The links found, by layer, and why the other layers with weights cannot be cut."""

    found: Mapping[str, Link]
    left: Mapping[str, str]


class _NotCuttable(Exception):
    """A layer cannot be cut, for the reason that this carries."""


def links(model: nn.Module) -> Links:
    """Return the links of a model, as its forward runs without its optional arguments.

    The forward is traced symbolically in training and in eval mode; a layer is cut only if both agree. An operation
    that is not known to keep units apart is assumed to mix them.

    Example:
        >>> found = links(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)))
        >>> list(found.found["0"].consumers), found.left
        (['2'], {'2': "its units are the network's outputs"})
    """
    model = unwrap(model)
    layers = {name: module for name, module in model.named_modules(remove_duplicate=False) if _has_weights(module)}
    graphs = [traced(model, training=training) for training in (False, True)]
    found: dict[str, Link] = {}
    left: dict[str, str] = {}
    for name in layers:
        try:
            here = [_Walk(model, graph).link(name) for graph in graphs]
            if here[0] != here[1]:
                raise _NotCuttable("it is used differently in training and in eval mode")
            found[name] = here[0]
        except _NotCuttable as reason:
            left[name] = str(reason)
    return Links(found, left)


def _has_weights(module: nn.Module) -> bool:
    if isinstance(module, ParametrizationList):
        return False
    own = [*module.parameters(recurse=False), getattr(module, "weight", None)]
    return any(isinstance(one, UninitializedParameter) or (isinstance(one, Tensor) and one.ndim > 1) for one in own)


@dataclass
class _Walk:
    """Follows the units of one layer through a graph."""

    model: nn.Module
    graph: fx.Graph | str
    carriers: dict[str, Layout] = field(default_factory=dict)
    consumers: dict[str, Layout] = field(default_factory=dict)
    sources: set[fx.Node] = field(default_factory=set)

    def link(self, name: str) -> Link:
        """Return the link of a layer.

        Raises:
            _NotCuttable: if it has none.
        """
        self.modules = dict(self.model.named_modules(remove_duplicate=False))
        layer = self.modules[name]
        if type(layer) not in CUTTABLE:
            raise _NotCuttable(f"{with_article(type(layer).__name__)}; linear and convolution layers are cut")
        if isinstance(self.graph, str):
            raise _NotCuttable(self.graph)
        node = self._only_call(name, self.graph)
        self._check_own(name)
        self.n_units = n_units(cast(Cuttable, layer))
        self._follow(node, Place(CONVOLUTIONS.get(type(layer), 0)))
        if not self.consumers:
            raise _NotCuttable("no layer takes its units in")
        if len(self.sources) > 1:
            raise _NotCuttable(f"{', '.join(self.consumers)} take its units in along different paths")
        return Link(name, self.n_units, self.carriers, self.consumers)

    def _follow(self, node: fx.Node, place: Place) -> None:
        for user in node.users:
            if only_reads(user, place):
                continue
            if returns_units(user):
                raise _NotCuttable(UNITS_ARE_OUTPUTS)
            after = self._through(user, node, place)
            if after is not None:
                self._follow(user, after)

    def _through(self, node: fx.Node, source: fx.Node, place: Place) -> Place | None:
        """Return the place of the units behind a step; None if they end there."""
        if node.op != "call_module":
            return _or_raise(through_function(node, source, place))
        name = str(node.target)
        module = self.modules[name]
        if reason := _unpredictable(name, module):
            raise _NotCuttable(reason)
        if joins_others(node, source):
            raise _NotCuttable(f"{name} takes its units in together with others")
        if type(module) in CUTTABLE:
            self._check_own(name)
            self._only_call(name, node.graph)
            if place.positions != CONVOLUTIONS.get(type(module), 0):
                raise _NotCuttable(f"{name} works along another axis than that of its units")
            self.consumers[name] = self._layout(name, place, n_inputs(cast(Cuttable, module)))
            self.sources.add(source)
            return None
        # Modules with parameters of their own for each unit; instance norms count their positions, not their batch.
        carries = type(module) in BATCH_NORMS or (type(module) is nn.PReLU and module.num_parameters > 1)
        if carries or (type(module) in INSTANCE_NORMS and place.positions > 0):
            self._check_own(name)
            self._only_call(name, node.graph)
            self.carriers[name] = self._layout(name, place, n_features(module))
            return place
        if next(module.parameters(), None) is not None and not isinstance(module, nn.PReLU):
            raise _NotCuttable(f"its units go into {name}, {with_article(type(module).__name__)}")
        return _or_raise(through_module(module, place))

    def _layout(self, name: str, place: Place, n_features: int) -> Layout:
        times, rest = divmod(n_features, self.n_units)
        if rest or (times != 1 and not place.flattened):
            raise _NotCuttable(f"{name} has {plural(n_features, 'feature')} for its {plural(self.n_units, 'unit')}")
        return Layout(before=times) if place.flattened == "units last" else Layout(after=times)

    def _only_call(self, name: str, graph: fx.Graph) -> fx.Node:
        calls = [node for node in graph.nodes if node.op == "call_module" and node.target == name]
        if len(calls) > 1:
            raise _NotCuttable(f"{name} runs {len(calls)} times in one forward pass")
        if not calls:
            raise _NotCuttable("forward does not call it by itself")
        if any(node.op == "get_attr" and str(node.target).startswith(f"{name}.") for node in graph.nodes):
            raise _NotCuttable(f"forward uses the weights of {name} itself")
        return calls[0]

    def _check_own(self, name: str) -> None:
        """Refuse a module if something else depends on its weights, or changes what it computes."""
        module = self.modules[name]
        first = first_names(self.modules)
        if Counter(first.values())[first[name]] > 1:
            raise _NotCuttable(f"{name} is registered under several names")
        owned = [_memory(parameter) for parameter in module.parameters()]
        for other, parameter in self.model.named_parameters(remove_duplicate=False):
            start, end = _memory(parameter)
            if other.rpartition(".")[0] != name and any(start < stop and begin < end for begin, stop in owned):
                raise _NotCuttable(f"{name} shares its weights with {other.rpartition('.')[0] or other} (tied weights)")
        if reason := _unpredictable(name, module):
            raise _NotCuttable(reason)
        if getattr(module, "groups", 1) != 1:
            raise _NotCuttable(f"{name} is a grouped convolution")


def _memory(parameter: Tensor) -> tuple[int, int]:
    """Return where a parameter begins and ends in memory, (0, 0) for none; transposed views of it overlap there."""
    start = 0 if isinstance(parameter, UninitializedParameter) else parameter.data_ptr()
    return start, start + parameter.nbytes if start else 0


def _unpredictable(name: str, module: nn.Module) -> str | None:
    """Return why a module's type does not tell what it computes; None if it does."""
    if any(isinstance(parameter, UninitializedParameter) for parameter in module.parameters()):
        return f"{name} is lazy and not initialized yet; run the model on a batch first"
    if users_hooks(module):
        return f"{name} has hooks, which may change what it does"
    return None


def _or_raise(place: Place | str) -> Place:
    if isinstance(place, str):
        raise _NotCuttable(place)
    return place
