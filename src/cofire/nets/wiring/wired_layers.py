"""What `wire` returns: layers, groups of units, and what was left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from ...stats._base.notebook import html_lines, html_table
from .dimensions import Dimension
from .places import Places

QKV = ("query", "key", "value")
GATES = {nn.LSTM: ("input", "forget", "cell", "output"), nn.GRU: ("reset", "update", "new")}
GATES |= {nn.LSTMCell: GATES[nn.LSTM], nn.GRUCell: GATES[nn.GRU]}
"""Names of the parts into which torch's recurrent layers divide a weight."""

HEAD = ("layer", "units", "axis", "inputs", "kind", "cut")


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


@dataclass(frozen=True)
class WeightLayout:
    """How a weight holds the units that it makes.

    Attributes:
        shape: of the weight, with its axes split into factors, such as heads and sizes.
        order: of these factors; those that count units come first.
        inputs: the shape of one unit's weights.
        blocks: how many blocks of units share no input, as the groups of a convolution and experts do.
        parts: named pieces of the units, such as query, key and value, with where they begin and end.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    inputs: tuple[int, ...]
    blocks: int = 1
    parts: tuple[tuple[str, int, int], ...] = ()

    def rows(self, weight: Tensor) -> Tensor:
        """Return the weight as (n_units, n_inputs, ...), a view where possible."""
        as_stored = self.order == tuple(range(len(self.shape))) and weight.shape[1:] == self.inputs
        return weight if as_stored else weight.reshape(self.shape).permute(self.order).reshape(-1, *self.inputs)


def equal_parts(names: Sequence[str], size: int) -> tuple[tuple[str, int, int], ...]:
    """Return named pieces of equal size, with where they begin and end."""
    each = size // len(names)
    return tuple((name, k * each, (k + 1) * each) for k, name in enumerate(names))


def gates_of(module: type[nn.Module]) -> Sequence[str]:
    """Return the names of a recurrent layer's gates; empty for others."""
    return next((names for kind, names in GATES.items() if issubclass(module, kind)), ())


def short_name(parameter: str) -> str:
    """Return a parameter's name without the word that stands for the weight."""
    head, _, last = parameter.rpartition(".")
    if last == "weight" and head:
        return head
    shorter = last.removeprefix("weight_").removesuffix("_weight")
    return f"{head}.{shorter}" if head else shorter


@dataclass(frozen=True, eq=False)
class Layer:
    """A place that makes units.

    Attributes:
        name: of the module; or, where a module makes units with several parameters, of the parameter.
        parameter: name of the weight.
        parameters: all that the weight is computed from, itself included.
        module: name of the module that ran when it made them.
        units: how many it makes.
        unit_axis: axis of the module's output on which they lie; None where the output does not show them.
        weight_axis: axis of the weight on which they lie; None where it is folded or split.
        inputs: how many inputs each unit has, those of its group in a convolution; 0 for an embedding.
        kind: the module's class.
        is_output: whether its units are the model's output.
        calls: how often the module ran.
        group: the groups that its units belong to; several where units are heads times sizes, or fused.
        layout: how the weight holds them; None where they lie on no axes of their own.
        assumed: why this was read from the module's type instead of followed; empty if it was followed.
        mode: "train" for a layer that runs in training mode only, "eval" likewise; empty if it runs in both.
    """

    name: str
    parameter: str
    module: str
    units: int
    unit_axis: int | None
    weight_axis: int | None
    inputs: int
    kind: str
    is_output: bool
    calls: int
    group: tuple[Group, ...]
    parameters: frozenset[str] = frozenset()
    layout: WeightLayout | None = None
    assumed: str = ""
    mode: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Operation:
    """An operation of a pass: its name, and the dimensions of each tensor that it put out; None if nothing read it."""

    name: str
    outputs: tuple[tuple[Dimension, ...] | None, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Wiring:
    """How the units of a model are wired. Its text and its HTML are a table of the layers.

    Attributes:
        layers: every place that makes units, in the order of the network.
        groups: the groups of units.
        left_out: parameters with two axes or more that make no units, and modules that never ran, with the reason.
        unknown: operations without a rule, with how often they came.
        dimensions: of each parameter and buffer, one for each axis.
        places: for each mode (training or not), where the outputs of modules show units.
        notes: sentences on how the wiring was found, if not by a pass on fake tensors in both modes.
        one_way: why the model may go other ways than the one that was seen, as one that decides by values does; empty
            if it can't.
        operations: those of the pass in eval mode, in order; of the other one, if that alone could be followed.
    """

    layers: tuple[Layer, ...]
    groups: tuple[Group, ...]
    left_out: Mapping[str, str]
    unknown: Mapping[str, int]
    dimensions: Mapping[str, tuple[Dimension, ...]]
    places: Mapping[bool, Places]
    notes: tuple[str, ...] = ()
    one_way: str = ""
    operations: tuple[Operation, ...] = ()

    def __str__(self) -> str:
        rows = [HEAD, *map(_cells, self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._below()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(HEAD, map(_cells, self.layers)) + html_lines(self._below())

    def _below(self) -> Iterator[str]:
        yield from self.notes
        if self.left_out:
            reasons: dict[str, list[str]] = {}
            for name, reason in self.left_out.items():
                reasons.setdefault(reason, []).append(name)
            for reason, names in reasons.items():
                yield f"left out, {reason}: {', '.join(names)}"
        if self.unknown:
            yield f"operations without a rule: {', '.join(self.unknown)}"


def _cells(layer: Layer) -> Sequence[str]:
    reasons = [group.fixed for group in layer.group if group.fixed]
    axis = "-" if layer.unit_axis is None else str(layer.unit_axis)
    single = "the model's output" if layer.is_output else layer.assumed
    cut = reasons[0] if reasons else "free" if layer.group else single
    kind = f"{layer.kind}, {layer.mode} only" if layer.mode else layer.kind
    return layer.name, str(layer.units), axis, str(layer.inputs), kind, cut
