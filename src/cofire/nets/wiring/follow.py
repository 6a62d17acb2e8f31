"""Follow a model through one forward pass, operation by operation."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy

from ..running import is_running
from ..torch_private import DispatchMode, FakeTensor, decompositions, grouped_mm, tree_leaves, tree_map
from .calls import Call, Signal, Step, Use, computes_weight, fresh
from .dimensions import Dimension, product
from .rules import RULES, Rule, elementwise, unknown

NO_TENSORS = frozenset(
    {
        "_local_scalar_dense",
        "item",
        "equal",
        "_assert_async",
        "is_same_size",
        "sym_size",
        "is_nonzero",
        "_is_all_true",
        "_is_any_true",
    }
)

DECOMPOSITIONS = decompositions()


class Follower(DispatchMode):
    """Sees each operation that runs inside its block, and keeps what is known of each tensor.

    Args:
        parameters: the model's parameters and buffers by name; each starts with dimensions of its own.

    Attributes:
        uses: what parameters did, in the order of the pass.
        unknown: how often operations without a rule came.
        parameter_signals: what is known of each parameter.
        running: the modules that are running, the innermost last, each with the names of its own parameters.
        steps: the operations, in the order of the pass.
        made: every tensor that came out of an operation.
        within: the call that it follows, if it was begun and is ended by hooks; once that is over it sees nothing.
        error: what went wrong in following, after which it sees nothing; the operations themselves go on.
    """

    def __init__(self, parameters: Mapping[str, Tensor], *, within: FrameType | None = None) -> None:
        super().__init__()
        self.within = within
        self.error: Exception | None = None
        self.uses: list[Use] = []
        self.unknown: Counter[str] = Counter()
        self.running: list[tuple[str, frozenset[str]]] = [("", frozenset())]  # modules, the innermost last
        self.steps: list[Step] = []
        self.made: list[ReferenceType[Tensor]] = []
        self.parameter_signals: dict[str, Signal] = {}
        self._names = {
            id(one): name for name, one in reversed(list(parameters.items()))
        }  # a tied one has its first name
        self._signals: dict[int, Signal] = {}
        self._written: set[StorageWeakRef] = set()
        for name, tensor in parameters.items():
            if not is_lazy(tensor):  # a lazy one has no shape before it is used
                self.parameter_signals[name] = self._begin(tensor)

    def computed(self, signal: Signal) -> None:
        """Say that a tensor is the weight of a module, which it computes from parameters."""
        if signal.made_of and not signal.varies and not signal.name:
            signal.axes, signal.weight = tuple(range(signal.tensor.dim())), None

    def give(self, inputs: Iterable[Tensor]) -> None:
        """Say that tensors are the model's inputs; what is computed from them varies."""
        for tensor in inputs:
            dimensions = [fresh(n, "the model's input") for n in tensor.shape]
            self._signals[id(tensor)] = Signal(dimensions, tensor, varies=True)

    def also(self, name: str, tensor: Tensor) -> None:
        """Take another tensor for the parameter of that name: code can reach the original of a copied model."""
        known = self.parameter_signals[name]
        self._signals.setdefault(id(tensor), replace(known, tensor=tensor))

    def stands_for(self, name: str, tensor: Tensor) -> None:
        """Note the tensor that a module uses as its parameter; FSDP puts the whole one there just before it runs."""
        if name in self.parameter_signals and id(tensor) not in self._signals and id(tensor) not in self._names:
            self.also(name, tensor)

    def _begin(self, tensor: Tensor) -> Signal:
        name = self._names[id(tensor)]
        if id(tensor) not in self._signals:
            dimensions = [Dimension(size) if size != 1 else product([]) for size in tensor.shape]
            axes = tuple(range(tensor.dim()))
            self._signals[id(tensor)] = Signal(dimensions, tensor, frozenset([name]), name=name, axes=axes)
        return self._signals[id(tensor)]

    def signal(self, tensor: Tensor) -> Signal:
        """Return what is known of a tensor; one that nobody made here is a constant of the code."""
        known = self._signals.get(id(tensor))
        if known is None and (name := self._names.get(id(tensor))):
            known = self.parameter_signals[name] = self._begin(tensor)
        if known is None or [one.size for one in known.dimensions] != list(tensor.shape):
            constant = [fresh(size, "a constant of the code") for size in tensor.shape]
            known = self._signals[id(tensor)] = Signal(constant, tensor)
        if not known.varies and self._written and StorageWeakRef(tensor.untyped_storage()) in self._written:
            known.varies, known.made_of = True, frozenset()
        return known

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and let its rule follow it."""
        kwargs = kwargs or {}
        # Operations of "prim" ask for a device or a layout.
        if func._schema.name.startswith("prim::") or self.error is not None:
            return func(*args, **kwargs)
        if self.within is not None and not is_running(self.within):
            return func(*args, **kwargs)
        if base_name(func) in NO_TENSORS:
            return _run(func, args, kwargs)
        if is_made_of_others(func):
            with self:  # what it is made of comes here in turn
                made = func.decompose(*args, **kwargs)
                if made is NotImplemented and func in DECOMPOSITIONS:
                    made = DECOMPOSITIONS[func](*args, **kwargs)
            if made is not NotImplemented:
                return made
        before = self._guarded(self._taken, args, kwargs)
        output = _run(func, args, kwargs)
        if before is not None:
            self._guarded(self._follow, func, args, kwargs, before, output)
        return output

    def follow(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """Follow an operation that has run already."""
        if base_name(func) not in NO_TENSORS and not func._schema.name.startswith("prim::"):
            self._follow(func, args, kwargs, self._taken(args, kwargs), output)

    def _guarded(self, run: Callable[..., Any], *args: Any) -> Any:
        """Run what may not fail: the operation is the user's, and only following it is ours."""
        try:
            return run(*args)
        except Exception as error:
            self.error = self.error or error
            return None

    def _taken(self, args: Any, kwargs: Any) -> tuple[list[Signal], Any]:
        """Return what is known of the arguments before the call, which may change them."""
        inputs = [self.signal(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        return inputs, tree_map(lambda one: self.signal(one) if isinstance(one, Tensor) else one, (args, kwargs))

    def _follow(self, func: Any, args: Any, kwargs: Any, before: Any, output: Any) -> None:
        inputs, taken = before
        base = base_name(func)
        rule, in_place = _rule_of(base, func) or unknown, base != func._schema.name.partition("::")[2]
        module, own = self.running[-1]
        call = Call(
            base, _bound(func, args, kwargs), inputs, output, module, own, len(self.steps), computes_weight(module)
        )
        self._apply(rule, call)
        if in_place:
            self._write(call)
        self._keep(call)
        given, named = taken
        self.steps.append(Step(base, func, given, named, tuple(inputs), tuple(call.emitted), in_place))

    def _apply(self, rule: Rule, call: Call) -> None:
        try:
            rule(call)
        except (ValueError, IndexError, KeyError, TypeError, StopIteration, AttributeError):
            rule = unknown  # the rule met a form of the operation that it doesn't know
            call.emitted.clear()
            call.uses.clear()
            unknown(call)
        if rule is unknown:
            self.unknown[call.name] += 1

    def _write(self, call: Call) -> None:
        """After a change in place, all views of the storage hold what was written."""
        if any(signal.varies for signal in call.inputs):
            self._written.add(StorageWeakRef(call.inputs[0].tensor.untyped_storage()))

    def _keep(self, call: Call) -> None:
        for signal in call.emitted:
            signal.axes = _axes(call)
            signal.weight = None if signal.axes is None else call.inputs[0].stored
            self._signals[id(signal.tensor)] = signal
            self.made.append(ref(signal.tensor))
        self.uses.extend(call.uses)


def _axes(call: Call) -> tuple[int, ...] | None:
    """Return which axes of a parameter the axes of an output are, if that is all that the operation changed."""
    before = call.inputs[0].axes if len(call.inputs) == 1 else None
    if before is None:
        return None
    if call.name in ("alias", "detach", "clone", "_to_copy"):
        return before
    if call.name in ("t", "numpy_T"):
        return before[::-1]
    if call.name == "permute":
        return tuple(before[axis] for axis in call["dims"])
    if call.name == "transpose":
        axes = list(before)
        i, j = call["dim0"], call["dim1"]
        axes[i], axes[j] = axes[j], axes[i]
        return tuple(axes)
    return None


def _run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if func is grouped_mm and isinstance(args[0], FakeTensor):
        return args[0].new_empty(args[0].shape[0], args[1].shape[-1])  # its meta kernel takes bfloat16 only
    return func(*args, **kwargs)


def base_name(func: Any) -> str:
    """Return an operation's name, without its namespace, overload and the underscore of its in-place form."""
    name: str = func._schema.name.partition("::")[2]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def is_made_of_others(func: Any) -> bool:
    """Return whether an operation has no rule of its own, so that what it is made of is followed instead."""
    return _rule_of(base_name(func), func) is None


def _rule_of(name: str, func: Any) -> Rule | None:
    if name in RULES:
        return RULES[name]
    return elementwise if torch.Tag.pointwise in func.tags else None


def _bound(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by the names of the operation's schema, defaults filled in."""
    schema = func._schema.arguments
    given = {argument.name: value for argument, value in zip(schema, args, strict=False)} | dict(kwargs)
    return {argument.name: given.get(argument.name, argument.default_value) for argument in schema}
