"""Find the activation function that is applied to a tensor, in the record of a pass.

It is the first place behind the tensor through which everything that is computed from the tensor flows, where it is a
nonlinear function of it, entry by entry, of nothing else than parameters and numbers. A gate that another layer
computes, a residual sum, a slice or a reduction ends the search: what follows is no longer that layer's alone.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf

from torch.multiprocessing.reductions import StorageWeakRef

from .calls import Signal, Step
from .dimensions import leaves
from .module_calls import ModuleCall
from .rules import (
    RULES,
    batch_norm,
    elementwise,
    group_norm,
    layer_norm,
    permute,
    spatial,
    squeeze,
    transpose,
    transpose_two,
    unsqueeze,
    view,
)

NORMS = (layer_norm, group_norm, batch_norm)
MOVES = (permute, transpose, transpose_two, unsqueeze, squeeze, view)
COPIES = frozenset(["clone", "alias", "detach", "lift_fresh", "_to_copy", "contiguous", "positive"])
DROPOUT = frozenset(["dropout", "native_dropout"])
SUMS = frozenset(["add", "sub", "rsub", "neg"])
PRODUCTS = frozenset(["mul", "div"])
POWERS = frozenset(["pow", "square", "abs"])
BLANKS = frozenset(["zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full"])
NOISE = frozenset(["bernoulli", "uniform", "normal"])
RANDOM = NOISE | frozenset(["rand_like", "randn_like"])
MIXING = frozenset(["_softmax", "_log_softmax", "softmax", "log_softmax"])


@dataclass(frozen=True, eq=False)
class Behind:
    """What is computed from one tensor alone.

    Attributes:
        gates: tensors through which everything flows that is computed from it, in order; the tensor itself first.
        activated: those of them that are nonlinear functions of it.
    """

    gates: tuple[Signal, ...]
    activated: frozenset[Signal]


class Flow:
    """The operations of one pass that reach its outputs, and who takes each tensor.

    Args:
        steps: of the pass.
        returned: the model's outputs.
    """

    def __init__(self, steps: Sequence[Step], returned: Iterable[Signal]) -> None:
        self.steps = steps
        self.returned = frozenset(returned)
        self._takers: dict[Signal, list[int]] = defaultdict(list)
        self._normalizing: dict[int, ModuleCall] = {}
        live = set(self.returned)
        for index in range(len(steps) - 1, -1, -1):
            step = steps[index]
            # What is written in place may be read through another view.
            if step.in_place or not live.isdisjoint(step.outputs):
                live.update(step.inputs)
                for signal in set(step.inputs):
                    self._takers[signal].append(index)
        self._losses = {index for index, step in enumerate(steps) if self._is_in_loss(step)}

    def _is_in_loss(self, step: Step) -> bool:
        """Return whether a step is the log-softmax of a cross-entropy, which gathers the targets' entries."""
        takers = {self.steps[taker].name for taker in self._takers[step.outputs[0]]} if step.outputs else set()
        return step.name in MIXING and takers == {"gather"}

    def find_normalizations(self, calls: Iterable[ModuleCall], made_or_read: Callable[[int, int], bool]) -> None:
        """Find modules that normalize what they take, however it is written: they count as one linear step.

        Such a module computes what it returns from what it takes and its own parameters alone, shows the same units on
        the same axes, makes and reads none, and is no function of each entry.
        """
        for call in calls:
            if call.given is None or call.returned is None or call.returned is call.given:
                continue
            given, returned = map(list, (call.given.dimensions, call.returned.dimensions))
            if [set(leaves(one)) for one in given] != [set(leaves(one)) for one in returned]:
                continue
            if made_or_read(call.first, call.after) or not self._is_closed(call):
                continue
            inside = Flow(self.steps[call.first : call.after], [call.returned])
            if call.returned not in inside.behind(call.given).gates:
                for index in range(call.first, call.after):
                    self._normalizing.setdefault(index, call)

    def _is_closed(self, call: ModuleCall) -> bool:
        """Return whether all that varies inside a module comes from what it was given."""
        known = {call.given}
        for step in self.steps[call.first : call.after]:
            if any(signal.varies and signal not in known for signal in step.inputs) or step.name in RANDOM:
                return False
            known.update(step.outputs)
        return True

    def behind(self, start: Signal) -> Behind:
        """Follow what is computed from a tensor alone, up to where it meets anything else."""
        walk = _Walk(start, self._used_behind, self._losses)
        coming = sorted(self._takers[start])
        while coming:
            index = coming.pop(0)
            if index in walk.seen:
                continue
            call = self._normalizing.get(index)
            if call is not None and call.given in walk.members and call.returned is not None:
                followed = walk.jump(call.given, call.returned, range(call.first, call.after))
            else:
                walk.seen.add(index)
                followed = walk.take(self.steps[index], index)
            for signal in followed:
                for taker in self._takers[signal]:
                    insort(coming, taker)
        return walk.result(self.returned)

    def first_taker(self, signal: Signal) -> int | None:
        """Return the number of the first step that takes a tensor."""
        return min(self._takers[signal], default=None)

    def _used_behind(self, signal: Signal, index: int) -> bool:
        return signal in self.returned or any(taker > index for taker in self._takers[signal])


class _Walk:
    """One walk: the members are what was computed from the start alone, in order."""

    def __init__(self, start: Signal, used_behind: Callable[[Signal, int], bool], losses: set[int]) -> None:
        self._used_behind, self._losses = used_behind, losses
        self.members: dict[Signal, tuple[int, bool]] = {start: (-1, False)}  # the step that made it; nonlinear or not
        self.last_use: dict[Signal, float] = {}
        self.constants: set[Signal] = set()
        self.noise: set[Signal] = set()
        self.seen: set[int] = set()

    def take(self, step: Step, index: int) -> tuple[Signal, ...]:
        """Take a step in; return the tensors to follow from here."""
        taken = [signal for signal in step.inputs if signal in self.members]
        if step.name in BLANKS:
            self.constants.update(step.outputs)
            return step.outputs
        if step.name in NOISE and not taken:
            self.noise.update(step.outputs)
            return step.outputs
        if not taken:
            if all(map(self._is_known, step.inputs)):  # a function of constants and noise
                (self.noise if self.noise.intersection(step.inputs) else self.constants).update(step.outputs)
                return step.outputs
            return ()
        kind = None if index in self._losses else self._kind(step, taken)
        for signal in taken:
            self.last_use[signal] = max(self.last_use.get(signal, -1), inf if kind is None else index)
        if step.in_place:
            self._other_views_end(step, index)
        if kind is None or not step.outputs:
            return ()
        activated = kind == "curve" or any(self.members[signal][1] for signal in taken)
        self.members[step.outputs[0]] = (index, activated)
        return step.outputs[:1]

    def _is_known(self, signal: Signal) -> bool:
        number_or_parameter = not signal.varies and (bool(signal.made_of) or signal.tensor.numel() == 1)
        return signal in self.constants or signal in self.noise or number_or_parameter

    def _kind(self, step: Step, taken: list[Signal]) -> str | None:
        """Return "linear", "power" or "curve"; None where the start meets something else, or its entries mix."""
        others = [signal for signal in step.inputs if signal not in self.members]
        rule = RULES.get(step.name, elementwise)  # operations without a rule of their own are pointwise ones
        if step.name in RANDOM or not all(map(self._is_known, others)):
            return None
        if step.in_place and step.inputs[0] not in self.members:
            return None
        if step.name in MIXING:
            return "curve"
        if rule in MOVES or rule in NORMS or rule is spatial or step.name in COPIES | DROPOUT:
            return "linear"
        if rule is not elementwise:
            return None
        if self.noise.intersection(others):
            return "linear" if step.name in PRODUCTS else None
        if step.name in SUMS:
            return "linear"
        if step.name in POWERS or (step.name == "mul" and len(taken) > 1):
            return "power"
        return "linear" if step.name in PRODUCTS and step.inputs[0] in self.members and len(taken) == 1 else "curve"

    def jump(self, given: Signal, returned: Signal, steps: range) -> tuple[Signal, ...]:
        """Take a whole module in as one linear step."""
        self.seen.update(steps)
        self.last_use[given] = max(self.last_use.get(given, -1), steps[-1])
        self.members[returned] = (steps[-1], self.members[given][1])
        return (returned,)

    def _other_views_end(self, step: Step, index: int) -> None:
        """After a change in place, other views of the same memory hold something else."""
        memory = StorageWeakRef(step.inputs[0].tensor.untyped_storage())
        for signal in self.members:
            if signal is step.inputs[0] or not self._used_behind(signal, index):
                continue
            if StorageWeakRef(signal.tensor.untyped_storage()) == memory:
                self.last_use[signal] = inf

    def result(self, returned: frozenset[Signal]) -> Behind:
        """Return the gates: no member before one of them is used behind it."""
        gates, last = [], -1.0
        for signal, (index, _) in self.members.items():
            if last <= index:
                gates.append(signal)
            last = max(last, inf if signal in returned else self.last_use.get(signal, -1))
        activated = {one for one in gates if self.members[one][1] and one.tensor.is_floating_point()}
        return Behind(tuple(gates), frozenset(activated))
