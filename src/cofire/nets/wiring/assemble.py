"""Assemble the wiring of a model from what was seen in its passes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from ..layer_names import clean, named_layers
from .activations import Flow
from .calls import Signal, Step, Use, computes_weight
from .dimensions import Dimension, agree, factors, fix, leaves, root, terms, total
from .follow import Follower
from .module_calls import ModuleCall
from .places import Place, Places, places
from .wired_layers import QKV, Group, Layer, Operation, WeightLayout, Wiring, equal_parts, gates_of, short_name

OUTPUT = "the model's output"


@dataclass(frozen=True, eq=False)
class Pass:
    """What was seen in one pass of a model.

    Attributes:
        training: whether the model was in training mode.
        calls: the calls of modules.
        uses: what parameters did.
        returned: the model's outputs.
        hidden: name of the class of a part of the output that can't be looked into; empty if there is none.
        steps: the operations.
        unread: what nothing reads, and may lie in such a part.
    """

    training: bool
    calls: Sequence[ModuleCall]
    uses: Sequence[Use]
    returned: Sequence[Signal]
    steps: Sequence[Step]
    hidden: str = ""
    unread: Sequence[Signal] = ()


def assemble(model: nn.Module, follower: Follower, passes: Sequence[Pass], notes: Sequence[str] = ()) -> Wiring:
    """Return the wiring that the passes show.

    Args:
        model: the module that ran.
        follower: saw its operations.
        passes: in the order in which they ran.
        notes: sentences on how the passes were made.

    Raises:
        Exception: what went wrong in following.
    """
    if follower.error is not None:
        raise follower.error
    outputs = [one for seen in passes for signal in seen.returned for one in signal.dimensions]
    for dimension in outputs:
        fix(dimension, OUTPUT)
    for seen in passes:
        for dimension in [one for signal in seen.unread for one in signal.dimensions]:
            fix(dimension, f"perhaps part of the model's output, a {seen.hidden}, which can't be looked into")
            outputs.append(dimension)
    found: dict[bool, Places] = {}
    for seen in passes:
        flow = Flow(follower.steps, [*seen.returned, *seen.unread])
        of_mode = places(seen.calls, flow, seen.uses, follower.parameter_signals, named_layers(model))
        found[seen.training] = {name: _no_weights(name, of_it) for name, of_it in of_mode.items()}
    layers = _Layers(model, follower, passes, {leaf for one in outputs for leaf in leaves(one)})
    return Wiring(
        layers=tuple(layers.all()),
        groups=tuple(layers.groups.values()),
        left_out=_left_out(model, follower),
        unknown=dict(follower.unknown),
        dimensions={name: tuple(one.dimensions) for name, one in follower.parameter_signals.items()},
        places=found,
        notes=tuple(notes),
        operations=_operations(min(passes, key=lambda one: one.training)),
    )


def _operations(seen: Pass) -> tuple[Operation, ...]:
    read = {one for step in seen.steps for one in step.inputs} | {*seen.returned}
    return tuple(
        Operation(step.name, tuple(tuple(one.dimensions) if one in read else None for one in step.outputs))
        for step in seen.steps
    )


def _no_weights(module: str, places: tuple[Place, ...]) -> tuple[Place, ...]:
    """Return the places of a module; the rows of a weight that it computes are no activations."""
    return tuple(Place(None, "it computes a weight") for _ in places) if computes_weight(module) else places


class _Layers:
    """The layers of a model: one for each parameter, or several that one weight is computed from, that makes units."""

    def __init__(self, model: nn.Module, follower: Follower, passes: Sequence[Pass], outputs: set[Dimension]) -> None:
        self._signals, self._outputs, self._passes = follower.parameter_signals, outputs, passes
        self._modules = named_layers(model)
        self._learned = {
            name for name, _ in model.named_parameters(remove_duplicate=False)
        }  # not buffers, as masks are
        roles = _roles(follower.uses, follower.parameter_signals)
        self.groups = {leaf: _group(leaf, roles[leaf]) for leaf in roles if roles[leaf]["maker"]}
        self._makers: dict[tuple[str, frozenset[str]], Use] = {}
        self._all: dict[tuple[str, frozenset[str]], list[Use]] = defaultdict(list)
        self._making = {use.step for use in follower.uses if use.role == "maker"}
        self._number = {signal: k for k, step in enumerate(follower.steps) for signal in step.outputs}
        self._steps = follower.steps
        self._behind: dict[ModuleCall, set[int]] = {}
        returned = [signal for seen in passes for signal in (*seen.returned, *seen.unread)]
        self._ending = self._making_steps(returned, 0, len(follower.steps))
        self._read: dict[tuple[str, frozenset[str]], Dimension] = {}
        self._batch: dict[tuple[str, frozenset[str]], set[Dimension]] = {}
        for use in follower.uses:
            key = (use.module, use.parameters)
            if use.role == "maker":
                self._makers.setdefault(key, use)
                self._all[key].append(use)
            elif use.role == "reader":
                self._read.setdefault(key, use.dimension)
            elif use.role == "batch":
                self._batch.setdefault(key, set()).update(leaves(use.dimension))
        self._per_module = Counter(module for module, _ in self._makers)

    def all(self) -> list[Layer]:
        """Return the layers, in the order in which they made units first."""
        return [self._layer(module, names, use) for (module, names), use in self._makers.items()]

    def _layer(self, module: str, names: frozenset[str], use: Use) -> Layer:
        parameter, read = self._parameter(names, use), self._read.get((module, names))
        weight = self._signals[parameter] if use.weight is None else use.weight
        use = self._whole(module, names, use, weight.dimensions)
        calls = [call for seen in self._passes for call in seen.calls if call.module == module]
        last = calls[-1].returned if calls else None
        shown = [] if last is None else last.dimensions
        visible = any(use.step in self._steps_behind(call) for use in self._all[module, names] for call in calls[-1:])
        own, units = type(self._modules[module]), _units(use.dimension, shown)
        on_weight = use.axes[0] if use.axes else _axis_of(use.dimension, weight.dimensions)
        return Layer(
            name=module if self._per_module[module] == 1 and module else short_name(clean(parameter)),
            parameter=parameter,
            module=module,
            units=units.size,
            unit_axis=_unit_axis(units, use.output_axis, shown) if visible else None,
            weight_axis=on_weight
            if units is use.dimension and weight.tensor.shape[on_weight or 0] == units.size
            else None,
            inputs=use.inputs if use.inputs is not None else 0 if read is None else read.size,
            kind=own.__name__,
            is_output=not self._outputs.isdisjoint(leaves(use.dimension)) or use.step in self._ending,
            calls=self._calls(module),
            group=tuple(self.groups[leaf] for leaf in dict.fromkeys(leaves(use.dimension))),
            parameters=names,
            layout=_layout(use, weight.dimensions, self._batch.get((module, names), set()), own)
            if read is None or len(names) == 1 or _holds(weight.dimensions, read)
            else None,
            mode=self._mode(use),
        )

    def _parameter(self, names: frozenset[str], use: Use) -> str:
        """Return the parameter of a weight that holds its units: the largest, where it is computed from several."""
        units = set(leaves(use.dimension))

        def rank(name: str) -> tuple[bool, bool, int]:
            signal = self._signals[name]
            return name in self._learned, units <= _leaves(signal.dimensions), signal.tensor.numel()

        return max(sorted(names), key=rank)

    def _whole(self, module: str, names: frozenset[str], use: Use, weight: Sequence[Dimension]) -> Use:
        """Return a use as that of a whole axis of the weight, if it is used in parts that make up that axis."""
        parts = {tuple(leaves(one.dimension)): one.dimension for one in self._all[module, names]}
        made, size = _leaves(parts.values()), sum(one.size for one in parts.values())
        if len(parts) < 2:
            return use
        whole = (one for one in weight if one.size == size and _leaves([one]) == made)
        return next((replace(use, dimension=one) for one in whole), use)

    def _steps_behind(self, call: ModuleCall) -> set[int]:
        """Return the steps in a module that made units which its output shows.

        In a recurrent layer of several levels, the units of all but the last are taken in by the next.
        """
        if call not in self._behind:
            returned = [] if call.returned is None else [call.returned]
            self._behind[call] = self._making_steps(returned, call.first, call.after)
        return self._behind[call]

    def _making_steps(self, ends: Iterable[Signal], first: int, after: int) -> set[int]:
        """Return the last steps that made units, on the way to some tensors."""
        found, coming = set(), list(ends)
        seen = set(coming)
        while coming:
            number = self._number.get(coming.pop(), -1)
            if number in self._making:
                found.add(number)
            elif first <= number < after:
                coming += [one for one in self._steps[number].inputs if one not in seen]
                seen.update(coming)
        return found

    def _calls(self, module: str) -> int:
        counts = [sum(call.module == module for call in seen.calls) for seen in self._passes]
        return next((number for number in counts if number), 0)

    def _mode(self, use: Use) -> str:
        """Return the only mode in which the layer runs; empty if it runs in all that were followed."""
        wanted = (use.role, use.module, use.parameters)
        modes = [
            seen.training
            for seen in self._passes
            if any((one.role, one.module, one.parameters) == wanted for one in seen.uses)
        ]
        return "" if len(modes) == len(self._passes) else "train" if modes[0] else "eval"


def _roles(uses: Iterable[Use], signals: Mapping[str, Signal]) -> dict[Dimension, dict[str, dict[str, None]]]:
    """For each leaf the parameters in each role, in the order of the pass.

    Of those that a weight is computed from, these are the ones with the leaf on an axis: the rows of a weight of low
    rank are those of one factor, its columns those of the other.
    """
    roles: dict[Dimension, dict[str, dict[str, None]]] = {}
    own = {name: _leaves(signal.dimensions) for name, signal in signals.items()}
    for use in uses:
        for leaf in leaves(use.dimension):
            of_leaf = roles.setdefault(leaf, {"maker": {}, "reader": {}, "rider": {}, "batch": {}})
            names = sorted(use.parameters)
            of_leaf[use.role].update(dict.fromkeys([name for name in names if leaf in own[name]] or names))
    return roles


def _leaves(dimensions: Iterable[Dimension]) -> set[Dimension]:
    return {leaf for one in dimensions for leaf in leaves(one)}


def _holds(weight: Sequence[Dimension], read: Dimension) -> bool:
    """Return whether a weight has the units that it reads on its axes."""
    return _leaves([read]) <= _leaves(weight)


def _group(leaf: Dimension, roles: Mapping[str, Mapping[str, None]]) -> Group:
    makers, readers, riders = (tuple(roles[role]) for role in ("maker", "reader", "rider"))
    return Group(leaf.size, makers, readers, riders, leaf.fixed, frozenset(leaf.marks), leaf)


def _units(dimension: Dimension, output: Sequence[Dimension]) -> Dimension:
    """Return the units as the output shows them; where it does not, an LSTM's four gates that share them count once."""
    parts = terms(dimension)
    own = [list(leaves(part)) for part in parts]
    repeats = [n for n in range(1, len(parts)) if len(parts) % n == 0 and own == own[:n] * (len(parts) // n)]
    return total(parts[: repeats[0]]) if repeats and _axis_of(dimension, output) is None else dimension


def _unit_axis(units: Dimension, output_axis: int, shown: Sequence[Dimension]) -> int | None:
    """Return the axis of a module's output on which the units lie; a single one lies where its operation puts it."""
    if units.size > 1:
        return _axis_of(units, shown)
    axis = len(shown) + output_axis
    return axis if 0 <= axis < len(shown) and shown[axis].size == 1 else None


def _axis_of(dimension: Dimension, dimensions: Sequence[Dimension]) -> int | None:
    """Return the axis on which the indices of a dimension lie, in its order."""
    found = [axis for axis, one in enumerate(dimensions) if agree(one, dimension)]
    return found[0] if len(found) == 1 else None


def _layout(
    use: Use, weight: Sequence[Dimension], batch: set[Dimension], module: type[nn.Module]
) -> WeightLayout | None:
    """Return how a weight holds the units that it makes; None if no factors of its axes hold just those."""
    wanted = set(leaves(use.dimension))
    split = [(axis, factor) for axis, one in enumerate(weight) for factor in factors(one) or [one]]
    own = [set(leaves(factor)) for _, factor in split]
    first = [k for k, one in enumerate(own) if one and one <= batch]
    if use.axes:
        making = [k for k, (axis, _) in enumerate(split) if axis in use.axes]
    else:
        making = [k for k, one in enumerate(own) if one and one <= wanted]
    counting = [*first, *(k for k in making if k not in first)]
    if not (use.axes or wanted) or not wanted <= {leaf for k in counting for leaf in own[k]}:
        return None
    others = [k for k in range(len(split)) if k not in counting]
    axes = dict.fromkeys(split[k][0] for k in others)
    inputs = tuple(prod(split[k][1].size for k in others if split[k][0] == axis) for axis in axes)
    parts = _parts(use.dimension, module) if not first else ()
    shape = tuple(factor.size for _, factor in split)
    return WeightLayout(shape, (*counting, *others), inputs, prod(split[k][1].size for k in first), parts)


def _parts(dimension: Dimension, module: type[nn.Module]) -> tuple[tuple[str, int, int], ...]:
    """Return the gates of a recurrent layer, or query, key and value where one weight makes all of them."""
    sizes, gates = [one.size for one in terms(dimension)], gates_of(module)
    if dimension.size > 1 and gates and len(sizes) == len(gates) and len(set(sizes)) == 1:
        return equal_parts(gates, dimension.size)
    if len(sizes) == 3 and all("coupled" in _marks(one) for one in terms(dimension)[:2]):
        ends = [0, sizes[0], sizes[0] + sizes[1], sum(sizes)]
        return tuple((name, start, stop) for name, (start, stop) in zip(QKV, pairwise(ends), strict=True))
    first = factors(dimension)[0] if dimension.size > 1 else dimension
    if first.size == 3 and root(first).fixed.startswith(("unbind", "select")):
        return equal_parts(QKV, dimension.size)
    return ()


def _marks(dimension: Dimension) -> str:
    return " ".join(mark for leaf in leaves(dimension) for mark in leaf.marks)


def _left_out(model: nn.Module, follower: Follower) -> dict[str, str]:
    known = {name for use in follower.uses if use.role == "maker" for name in use.parameters}
    rides = {name for use in follower.uses if use.role == "rider" for name in use.parameters}
    return {
        name: "has a number for each unit of another layer" if name in rides else "made no units in this pass"
        for name, one in model.named_parameters()
        if isinstance(one, Tensor) and one.dim() > 1 and name not in known
    }
