"""`wire`: how the units of a model are wired, found by running it once on fake tensors."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import ReferenceType

from torch import Tensor, nn

from ..torch_private import FakeTensorMode, tree_leaves
from .calls import Use
from .dimensions import Dimension, fix, leaves
from .fake_copy import clear_leaks, fake_arguments, fake_copy, undisturbed
from .follow import Follower

OUTPUT = "the model's output"


@dataclass(frozen=True, eq=False)
class Group:
    """Units that are the same wherever they occur: they can be cut together only.

    Attributes:
        size: number of units.
        makers: parameters that make them.
        readers: parameters that take them in.
        riders: parameters with a number for each of them: biases, scales, running statistics, depthwise kernels.
        fixed: why they must not be cut; empty if they may.
        marks: what a cut has to mind: "reduced over by native_layer_norm" (legal, not exact), "coupled by bmm" (nothing
            can make up for it), "equal groups" (cut as many of each).
        leaf: the dimension that stands for the units.
    """

    size: int
    makers: tuple[str, ...]
    readers: tuple[str, ...]
    riders: tuple[str, ...]
    fixed: str
    marks: frozenset[str]
    leaf: Dimension = field(repr=False)


@dataclass(frozen=True, eq=False)
class Layer:
    """A place that makes units.

    Attributes:
        name: of the module, or of the parameter where a module has several that make units.
        parameter: name of the weight.
        units: how many it makes.
        unit_axis: axis of the module's output on which they lie; None where the output does not show them.
        weight_axis: axis of the weight on which they lie; None where it is folded or split.
        inputs: how many units it reads; 0 for an embedding.
        kind: the module's class.
        is_output: whether its units are the model's output.
        calls: how often the module ran.
        group: the groups that its units belong to; several where units are heads times sizes, or fused.
    """

    name: str
    parameter: str
    units: int
    unit_axis: int | None
    weight_axis: int | None
    inputs: int
    kind: str
    is_output: bool
    calls: int
    group: tuple[Group, ...]


@dataclass(frozen=True, eq=False)
class Wiring:
    """How the units of a model are wired.

    Attributes:
        layers: every place that makes units, in the order of the network.
        groups: the groups of units.
        left_out: parameters with two axes or more that make no units in this pass, with the reason.
        unknown: operations without a rule, with how often they came.
        dimensions: of each parameter and buffer, one for each axis.
    """

    layers: tuple[Layer, ...]
    groups: tuple[Group, ...]
    left_out: Mapping[str, str]
    unknown: Mapping[str, int]
    dimensions: Mapping[str, tuple[Dimension, ...]] = field(repr=False)

    def __str__(self) -> str:
        head = ("layer", "units", "axis", "inputs", "kind", "cut")
        rows = [head, *(_row(layer) for layer in self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows)


def _row(layer: Layer) -> tuple[str, ...]:
    reasons = [group.fixed for group in layer.group if group.fixed]
    axis = "-" if layer.unit_axis is None else str(layer.unit_axis)
    return layer.name, str(layer.units), axis, str(layer.inputs), layer.kind, reasons[0] if reasons else "free"


def wire(model: nn.Module, example: Any) -> Wiring:
    """Return how the units of a model are wired, from one pass on fake tensors.

    Nothing of the model or the process changes, and no memory is taken for weights or activations.

    Args:
        model: any module, in the mode in which it is to be followed.
        example: what the model takes: a tensor, a tuple of arguments, or a dict of keyword arguments.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
        >>> [(layer.name, layer.units, layer.unit_axis) for layer in wire(model, torch.zeros(2, 3, 8, 8)).layers]
        [('0', 8, 1), ('3', 5, 1)]
    """
    with undisturbed(model):
        result, made = _followed(model, _as_arguments(example))  # a function of its own: its tensors end with it
        clear_leaks(made)
    return result


def _followed(model: nn.Module, arguments: Any) -> tuple[Wiring, list[ReferenceType[Tensor]]]:
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    made = fake_copy(model, mode)
    positional, named = fake_arguments(arguments, mode)
    follower = Follower(_tensors(made), filter(_is_tensor, tree_leaves((positional, named))))
    for name, tensor in _tensors(model).items():
        if name in follower.parameter_signals:
            follower.also(name, tensor)
    with _watched(made, follower) as shown, mode, follower:
        output = made(*positional, **named)
    returned = filter(_is_tensor, tree_leaves(output.to_tuple() if hasattr(output, "to_tuple") else output))
    outputs = [dimension for one in returned for dimension in follower.signal(one).dimensions]
    for dimension in outputs:
        fix(dimension, OUTPUT)
    return _wiring(model, follower, shown, {leaf for one in outputs for leaf in leaves(one)}), follower.made


def _as_arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example) if isinstance(example, tuple) else (example,)), {}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return parameters | dict(model.named_buffers(remove_duplicate=False))


Shown = dict[str, list[list[Dimension]]]


@contextmanager
def _watched(model: nn.Module, follower: Follower) -> Iterator[Shown]:
    """Tell the follower which module runs, and keep the dimensions of what each returns, call by call."""
    shown: Shown = defaultdict(list)
    handles = []
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        own = frozenset(prefix + one for one, _ in module.named_parameters(recurse=False))
        own |= {prefix + one for one, _ in module.named_parameters() if one.startswith("parametrizations.")}

        def begin(_module: nn.Module, _args: Any, name: str = name, own: frozenset[str] = own) -> None:
            follower.running.append((name, own))

        def end(_module: nn.Module, _args: Any, output: Any, name: str = name) -> None:
            follower.running.pop()
            tensors = [one for one in tree_leaves(output) if _is_tensor(one)]
            shown[name].append(list(follower.signal(tensors[0]).dimensions) if tensors else [])

        handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    try:
        yield shown
    finally:
        for handle in handles:
            handle.remove()


def _wiring(model: nn.Module, follower: Follower, shown: Shown, outputs: set[Dimension]) -> Wiring:
    roles = _roles(follower.uses)
    groups = {leaf: _group(leaf, roles[leaf]) for leaf in roles if roles[leaf]["maker"]}
    makers: dict[tuple[str, str], Use] = {}
    for use in follower.uses:
        for parameter in sorted(use.parameters) if use.role == "maker" else ():
            makers.setdefault((use.module, parameter), use)
    per_module = Counter(module for module, _ in makers)
    modules = dict(model.named_modules())
    read = {
        (use.module, name): use.dimension.size
        for use in follower.uses
        if use.role == "reader"
        for name in use.parameters
    }
    last = {module: calls[-1] if (calls := shown[module]) else [] for module, _ in makers}
    layers = [
        Layer(
            name=module if per_module[module] == 1 and module else parameter,
            parameter=parameter,
            units=_n_units(use.dimension, last[module]),
            unit_axis=_axis_of(use.dimension, last[module]),
            weight_axis=_axis_of(use.dimension, follower.parameter_signals[parameter].dimensions),
            inputs=read.get((module, parameter), 0),
            kind=type(modules[module]).__name__,
            is_output=not outputs.isdisjoint(leaves(use.dimension)),
            calls=len(shown[module]),
            group=tuple(groups[leaf] for leaf in dict.fromkeys(leaves(use.dimension))),
        )
        for (module, parameter), use in makers.items()
    ]
    dimensions = {name: tuple(one.dimensions) for name, one in follower.parameter_signals.items()}
    return Wiring(tuple(layers), tuple(groups.values()), _left_out(model, follower), dict(follower.unknown), dimensions)


def _roles(uses: list[Use]) -> dict[Dimension, dict[str, dict[str, None]]]:
    """For each leaf the parameters in each role, in the order of the pass."""
    roles: dict[Dimension, dict[str, dict[str, None]]] = {}
    for use in uses:
        for leaf in leaves(use.dimension):
            of_leaf = roles.setdefault(leaf, {"maker": {}, "reader": {}, "rider": {}})
            of_leaf[use.role].update(dict.fromkeys(sorted(use.parameters)))
    return roles


def _group(leaf: Dimension, roles: Mapping[str, Mapping[str, None]]) -> Group:
    makers, readers, riders = (tuple(roles[role]) for role in ("maker", "reader", "rider"))
    return Group(leaf.size, makers, readers, riders, leaf.fixed, frozenset(leaf.marks), leaf)


def _n_units(dimension: Dimension, output: list[Dimension]) -> int:
    """Count units as the output shows them; where it does not, gates that share them (an LSTM's four) count once."""
    found = list(leaves(dimension))
    shown = any(list(leaves(one)) == found for one in output)
    return found[0].size if len(set(found)) == 1 and not shown else dimension.size


def _axis_of(dimension: Dimension, dimensions: list[Dimension]) -> int | None:
    """Return the axis whose leaves are those of a dimension."""
    wanted = set(leaves(dimension))
    found = [axis for axis, one in enumerate(dimensions) if set(leaves(one)) == wanted]
    return found[0] if len(found) == 1 else None


def _left_out(model: nn.Module, follower: Follower) -> dict[str, str]:
    known = {name for use in follower.uses if use.role == "maker" for name in use.parameters}
    rides = {name for use in follower.uses if use.role == "rider" for name in use.parameters}
    return {
        name: "has a number for each unit of another layer" if name in rides else "made no units in this pass"
        for name, one in model.named_parameters()
        if one.dim() > 1 and name not in known
    }
