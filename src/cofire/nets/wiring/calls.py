"""What rules are given: one call of an ATen operation, with what is known of its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from ..torch_private import tree_leaves
from .dimensions import Dimension, mark, product, root, unite

Role = Literal["maker", "reader", "rider", "batch"]


@dataclass(slots=True, eq=False)
class Signal:
    """What is known of a tensor; one that is changed in place gets another.

    Attributes:
        dimensions: one for each axis.
        made_of: names of the parameters and buffers that it is computed from, if from nothing else.
        varies: whether it depends on the model's input.
        tensor: the tensor itself, kept alive so that its id stays its own.
        name: the parameter or buffer that it is.
        axes: of a parameter, or of a weight that its module computes, in another order of axes: the axis of the weight
            for each of its own.
        weight: that weight, if it is another tensor.
    """

    dimensions: list[Dimension]
    tensor: Tensor
    made_of: frozenset[str] = frozenset()
    varies: bool = False
    name: str = ""
    axes: tuple[int, ...] | None = None
    weight: "Signal | None" = None

    @property
    def stored(self) -> "Signal":
        """The weight whose axes these are, as its module stores or computes it."""
        return self.weight or self  # a signal that held itself would stay in memory until a collection


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An operation that ran.

    Attributes:
        name: the operation's, without its namespace, overload and the underscore of its in-place form.
        function: the operation itself.
        args: its arguments, with signals in place of tensors.
        kwargs: the same for arguments by name.
        inputs: the signals among them.
        outputs: the signals of what it returned.
        in_place: whether it changed its first input.
    """

    name: str
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Signal, ...]
    outputs: tuple[Signal, ...]
    in_place: bool


@dataclass(frozen=True, slots=True)
class Use:
    """A parameter in a role: it makes the units of a dimension, reads them, or rides on them (one number a unit).

    Attributes:
        role: which; "batch" is a dimension along which a weight is many weights, as those of experts or groups are.
        parameters: what the tensor in that role is made of; one name but for weights that are computed.
        dimension: the units.
        module: the module that was running.
        step: number of the operation.
        axes: the weight's axes of these units, if it is used as it is stored or with its axes in another order. A
            weight from units to themselves, as a residual stream has them, shows the same units on two axes.
        weight: that weight; None if it is used in another way.
        output_axis: axis of the units in what the operation returns, counted from the end.
        inputs: of a maker, how many inputs each unit has, where that is not the number of units that it reads.
    """

    role: Role
    parameters: frozenset[str]
    dimension: Dimension
    module: str
    step: int = -1
    axes: tuple[int, ...] = ()
    weight: Signal | None = None
    output_axis: int = -1
    inputs: int | None = None


@dataclass
class Call:
    """A call of an operation.

    Attributes:
        name: the operation's, without its namespace, overload and the underscore of its in-place form.
        arguments: by the names of its schema, defaults filled in.
        inputs: what is known of its tensors, as it was before the call.
        output: what it returned.
        module: name of the module that is running.
        own: names of the parameters that belong to it.
        of_weight: whether a parametrization is running: what it computes is a weight, of whatever it is made.
        number: of the operation within all that were followed.
    """

    name: str
    arguments: dict[str, Any]
    inputs: list[Signal]
    output: Any
    module: str = ""
    own: frozenset[str] = frozenset()
    number: int = -1
    of_weight: bool = False
    uses: list[Use] = field(default_factory=list)
    emitted: list[Signal] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument, or the default where the operation has none of that name or it is None."""
        value = self.arguments.get(name)
        return default if value is None else value

    def signal(self, tensor: Tensor) -> Signal:
        """Return what was known of an input before the call."""
        return next(one for one in self.inputs if one.tensor is tensor)

    def axis(self, name: str = "dim", default: int = 0, *, n: int | None = None) -> int:
        """Return an argument that names an axis, counted from the front."""
        return self.get(name, default) % (n or len(self.inputs[0].dimensions) or 1)

    def outputs(self) -> list[Tensor]:
        """Return the tensors that came out."""
        return [one for one in tree_leaves(self.output) if isinstance(one, Tensor)]

    def emit(self, dimensions: Sequence[Dimension], tensor: Tensor | None = None) -> None:
        """Say what the dimensions of an output are; by default of the one output.

        Raises:
            ValueError: if their sizes are not its shape: the rule is wrong, and the call then counts as unknown.
        """
        output = self.output if tensor is None else tensor
        found = [root(one) for one in dimensions]
        if [one.size for one in found] != list(output.shape):
            raise ValueError(f"{self.name}: {[one.size for one in found]} for a tensor of shape {list(output.shape)}")
        varies = any(one.varies for one in self.inputs)
        made_of = frozenset() if varies else frozenset().union(*(one.made_of for one in self.inputs))
        self.emitted.append(Signal(found, output, made_of, varies))

    def use(
        self,
        role: Role,
        signal: Signal,
        dimensions: Sequence[Dimension],
        axes: Sequence[int] | None = None,
        *,
        output_axis: int = -1,
        inputs: int | None = None,
    ) -> None:
        """Note that a parameter makes, reads or rides on dimensions; a tensor of other origin notes nothing.

        ``axes`` are those of the tensor on which the dimensions lie, where the rule knows them; ``output_axis`` is the
        axis of what the operation returns, counted from the end; ``inputs`` are those of each unit.
        """
        if not signal.made_of or signal.varies or self.of_weight:
            return
        for place, one in enumerate(dimensions):
            if one.size == 1 and role not in ("maker", "reader"):
                continue
            stored = () if signal.axes is None or axes is None else (signal.axes[axes[place]],)
            weight = signal.stored if stored else None
            self.uses.append(
                Use(role, signal.made_of, one, self.module, self.number, stored, weight, output_axis, inputs)
            )


def computes_weight(module: str) -> bool:
    """Return whether a module computes a weight, or is part of one that does: what it returns is no activation."""
    return "parametrizations" in module.split(".")


def fresh(size: int, reason: str) -> Dimension:
    """Return a new dimension that must not be cut; one of size 1 has nothing to cut."""
    return Dimension(size, fixed=reason) if size != 1 else product([])


def united(signals: Sequence[Signal], shape: Sequence[int]) -> list[Dimension]:
    """Return the dimensions of a tensor of that shape to which others are broadcast, uniting those that meet."""
    found = []
    for axis in range(-len(shape), 0):
        meeting = [one.dimensions[axis] for one in signals if len(one.dimensions) >= -axis]
        same = [one for one in meeting if one.size == shape[axis]]
        for one in same[1:]:
            unite(same[0], one)
        found.append(same[0] if same else fresh(shape[axis], "broadcast"))
    return found


def reduced_over(call: Call, dimensions: Sequence[Dimension]) -> None:
    """Mark units that an operation mixes: cutting some of them changes what the others give."""
    for one in dimensions:
        mark(one, f"reduced over by {call.name}")
