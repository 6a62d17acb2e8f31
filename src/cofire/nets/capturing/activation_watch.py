"""Watch a pass from a layer's output to its activation, so that what is captured is what the pass has made."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import Tensor, nn

from ..running import is_running
from ..torch_private import (
    DispatchMode,
    hidden,
    is_functorch_wrapped,
    push_dispatch_mode_below,
    recording_gradients,
    remove_dispatch_mode,
    tree_leaves,
    without_transforms,
)
from ..wiring.follow import base_name, is_made_of_others
from ..wiring.places import trail_behind
from ..wiring.trails import Leg, Match, Trail, same
from ..wiring.wiring import tensors_of

NO_GRADIENT = "inside torch.func its activation has a gradient only if a module takes it; make a module of what does"
HORIZON = 512
"""How many operations behind a layer are kept, with all that they made, to find where its activation is."""
NO_RESULT = frozenset(["_local_scalar_dense", "item", "equal", "is_nonzero"])


@dataclass(eq=False)
class _Operation:
    """An operation that ran; ``saved`` is a copy of what it returned, if that was changed in place later."""

    function: Any
    args: Any
    kwargs: Any
    output: Any
    saved: Tensor | None = None

    @property
    def made(self) -> Tensor | None:
        """Its first result."""
        return next((one for one in tree_leaves(self.output) if isinstance(one, Tensor)), None)


@dataclass(eq=False)
class _Module:
    """A call of a module that ran, with the tensors that it took and returned."""

    name: str
    given: Tensor | None
    returned: Tensor | None


@dataclass(eq=False)
class Awaited:
    """A layer's output whose activation is awaited.

    Attributes:
        output: the layer's output.
        layer: its name.
        axis: of its units, counted from the end.
        deliver: takes the activation, and the axis of the units in it; None as long as nothing is expected.
        own: called instead, if no activation function follows; None for delivering the output itself.
        reached: takes the way to the activation, if it is another than those that were known.
        matches: how far along each known way the pass has come.
        first: number of the first event behind it, or behind the legs that were walked.
        walked: legs whose insides were not watched, and what they led to.
        inside: the module that is running and is not watched; None if there is none.
        saved: a copy of the output, if that was changed in place.
        found: the activation, until it is delivered.
    """

    output: Tensor
    layer: str
    axis: int
    first: int
    deliver: Callable[[Tensor, int], None] | None = None
    own: Callable[[], None] | None = None
    reached: Callable[[Trail], None] | None = None
    matches: list[Match] = field(default_factory=list)
    walked: tuple[tuple[Leg, ...], Tensor] | None = None
    inside: str | None = None
    saved: Tensor | None = None
    found: tuple[Tensor, int] | None = None

    def deliver_own(self) -> None:
        """Deliver the output itself."""
        if self.own is not None:
            self.own()
        elif self.deliver is not None:
            self.deliver(self.output if self.saved is None else self.saved, self.axis)


class ActivationWatch(DispatchMode):
    """Sees the operations behind a layer until its activation is reached, and nothing in between.

    Each tensor that it delivers was made by the model in this pass. If the pass goes none of the ways that are known,
    it is watched to its end, which shows the way that it has gone.

    Args:
        model: without wrappers.
        leave_out: takes a layer of which it can't be told what follows, and the reason.
        attached: whether what is delivered must have a gradient.

    Attributes:
        within: the call that is watched; once that is over nothing more is seen, though no hook may have said so.
    """

    def __init__(self, model: nn.Module, leave_out: Callable[[str, str], None], *, attached: bool) -> None:
        super().__init__()
        self._leave_out, self._attached = leave_out, attached
        self.within: FrameType | None = None
        self._model = model
        self._open: list[Awaited] = []
        self._arrived: list[Awaited] = []
        self._events: list[_Operation | _Module] = []
        self._error: Exception | None = None
        self._is_on = False

    def begin(self, output: Tensor, layer: str, axis: int) -> Awaited:
        """Begin to watch what follows a layer's output; `expect` says what for."""
        awaited = Awaited(output, layer, axis, len(self._events))
        self._open.append(awaited)
        return awaited

    def expect(
        self,
        awaited: Awaited,
        axis: int,
        trails: Iterable[Trail],
        deliver: Callable[[Tensor, int], None],
        own: Callable[[], None] | None,
        reached: Callable[[Trail], None],
    ) -> None:
        """Say which ways may lead to the activation, and who takes it. What was seen since `begin` counts."""
        awaited.axis, awaited.deliver, awaited.own, awaited.reached = axis, deliver, own, reached
        awaited.matches = [Match(trail, awaited.output) for trail in trails]
        for event in self._events[awaited.first :]:
            for match in awaited.matches:
                if self._takes_in(event, match, awaited):
                    self._open.remove(awaited)
                    return

    def _takes_in(self, event: _Operation | _Module, match: Match, awaited: Awaited) -> bool:
        """Take in what was seen before it was known what is expected; return whether it has led to the end."""
        if isinstance(event, _Module):
            made = event.returned
            is_next = match.enters(event.name, event.given)
        else:
            made = event.made
            is_next = made is not None and match.operation(event.function, tree_leaves((event.args, event.kwargs)))
        if not is_next or made is None:
            return False
        if match.trail.own:
            awaited.deliver_own()
            return True
        match.take(made)
        if not match.is_end(made):
            return False
        saved = event.saved if isinstance(event, _Operation) else None
        awaited.found = made if saved is None else saved, match.trail.unit_axis
        self._deliver(awaited)
        return True

    def forget(self, awaited: Awaited) -> None:
        """Wait for this one no longer."""
        if awaited in self._open:
            self._open.remove(awaited)

    def clear(self) -> None:
        """Forget all: the pass has failed, or is over."""
        self._open, self._arrived, self._events, self._error = [], [], [], None
        self.within = None  # a frame keeps what its code has made

    def switch(self, *, off: bool = False) -> None:
        """Begin or end to see operations, as what is awaited needs it."""
        if not self._open:
            self._events = []
        needed = not off and bool(self._arrived or any(one.inside is None for one in self._open))
        if needed and not self._is_on:
            push_dispatch_mode_below(self)
        elif self._is_on and not needed:
            remove_dispatch_mode(self)
        self._is_on = needed

    def settle(self, given: Tensor | None = None) -> None:
        """Deliver what has arrived; ``given`` is what a module takes next, which is the same tensor as a rule.

        Inside ``torch.func.grad`` operations show what autograd's wrappers hold, but modules the wrappers.
        """
        far = [one for one in self._open if self._is_far(one)]
        if not self._arrived and not far:
            return
        arrived, self._arrived = self._arrived, []
        with hidden():
            for one in arrived:
                if given is not None and one.found is not None and same(given, one.found[0]):
                    one.found = given, one.found[1]
                self._deliver(one)
            for one in far:
                self._open.remove(one)
                self._find(one, ())

    def _is_far(self, one: Awaited) -> bool:
        return one.deliver is not None and len(self._events) - one.first > HORIZON

    def enters(self, module: str, given: Tensor | None) -> None:
        """Note that a module begins; what it is made of need not be seen if it is what was expected."""
        for one in list(self._open):
            entering = [match.enters(module, given) for match in one.matches]
            if any(is_next and match.trail.own for is_next, match in zip(entering, one.matches, strict=True)):
                self._open.remove(one)
                one.deliver_own()
            elif entering and one.inside is None and all(entering):
                one.inside = module

    def leaves(self, module: str, given: Tensor | None, returned: Tensor | None) -> None:
        """Note that a module has run."""
        if not self._open:
            return
        self._events.append(_Module(module, given, returned))
        for one in list(self._open):
            unwatched, one.inside = one.inside == module, None if one.inside == module else one.inside
            for match in one.matches:
                if returned is None or match.trail.own or not match.enters(module, given):
                    continue
                match.take(returned)
                if match.is_end(returned):
                    self._open.remove(one)
                    one.found = (returned, match.trail.unit_axis)
                    self._arrived.append(one)
                    break
                if unwatched:
                    one.walked, one.first = (match.trail.legs[: match.n_legs], returned), len(self._events)

    def end(self, returned: Sequence[Tensor]) -> None:
        """Find the activations that were not reached on a known way; ``returned`` is what the pass has returned."""
        self.settle()
        for one in self._open:
            self._find(one, returned)
        self.clear()

    def _find(self, one: Awaited, returned: Sequence[Tensor]) -> None:
        """Find an activation in what was seen, and note the way that has led to it."""
        if one.deliver is not None:
            try:
                if self._error is not None:
                    raise self._error
                self._follow(one, returned)
            except Exception as error:
                self._leave_out(one.layer, f"what follows it can't be followed: {type(error).__name__}: {error}")

    def _follow(self, one: Awaited, returned: Sequence[Tensor]) -> None:
        legs, start = one.walked or ((), one.output)
        if any(match.trail.own and not match.trail.legs for match in one.matches) and not self._is_taken(one):
            one.deliver_own()
            return
        axis = legs[-1].unit_axis if legs else one.axis
        operations = [event for event in self._events[one.first :] if isinstance(event, _Operation)]
        if axis is None:
            raise ValueError("its units do not show where it goes another way than before")
        seen = [(event.function, event.args, event.kwargs, event.output) for event in operations]
        trail, number = trail_behind(tensors_of(self._model), without_transforms(start), axis, seen, returned)
        assert one.reached is not None
        if trail.own:
            if not legs:
                one.reached(trail)
            one.deliver_own()
            return
        made = operations[number].saved
        made = operations[number].made if made is None else made
        assert made is not None
        one.reached(Trail(one.output.ndim, one.axis, (*legs, *trail.legs)))
        one.found = made, trail.unit_axis
        self._deliver(one)

    def _deliver(self, one: Awaited) -> None:
        """Deliver what was found."""
        assert one.found is not None and one.deliver is not None
        if self._attached and is_functorch_wrapped(one.output) and not is_functorch_wrapped(one.found[0]):
            self._leave_out(one.layer, NO_GRADIENT)
        else:
            one.deliver(*one.found)

    def _is_taken(self, one: Awaited) -> bool:
        """Return whether anything has taken a layer's output."""
        operations = [event for event in self._events[one.first :] if isinstance(event, _Operation)]
        taken = (leaf for event in operations for leaf in tree_leaves((event.args, event.kwargs)))
        return any(isinstance(leaf, Tensor) and same(leaf, one.output) for leaf in taken)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and compare it with what is expected."""
        kwargs = kwargs or {}
        if not (self._open or self._arrived) or not is_running(self.within) or func._schema.name.startswith("prim::"):
            return func(*args, **kwargs)
        if is_made_of_others(func) and base_name(func) not in NO_RESULT:
            with self:  # what it is made of comes here in turn
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        expected = self._guarded(self._expect, func, args, kwargs)
        output = func(*args, **kwargs)
        if expected is not None and self._open:
            self._guarded(self._see, _Operation(func, args, kwargs, output), expected)
        return output

    def _guarded(self, run: Callable[..., Any], *args: Any) -> Any:
        """Run what may not fail: the operation is the user's, and only watching it is ours."""
        if self._error is None:
            try:
                return run(*args)
            except Exception as error:
                self._error = error
        return None

    def _expect(self, func: Any, args: Any, kwargs: Any) -> list[tuple[Awaited, Match]]:
        """Return who expects an operation that is about to run."""
        leaves = tree_leaves((args, kwargs))
        expected = [(one, match) for one in self._open for match in one.matches if match.operation(func, leaves)]
        for one in dict.fromkeys(one for one, match in expected if match.trail.own):
            self._open.remove(one)
            one.deliver_own()
        if func._schema.is_mutable:
            self._save(_written(func, args, kwargs), [one for one, match in expected if match.is_last])
        return expected

    def _see(self, event: _Operation, expected: list[tuple[Awaited, Match]]) -> None:
        if all(self._is_far(one) for one in self._open):
            return
        self._events.append(event)
        made = event.made
        if made is None:
            return
        for one, match in expected:
            if one not in self._open:
                continue
            match.take(made)
            if match.is_end(made):
                self._open.remove(one)
                one.found = (made, match.trail.unit_axis)
                self._arrived.append(one)

    def _save(self, written: list[Tensor], known: list[Awaited]) -> None:
        """Copy what is about to be changed in place, with its gradient, as far as it may be an activation."""

        def is_lost(tensor: Tensor | None) -> bool:
            return tensor is not None and any(_share_memory(tensor, one) for one in written)

        with hidden(), recording_gradients():
            arrived = [one for one in self._arrived if one.found is not None and is_lost(one.found[0])]
            self._arrived = [one for one in self._arrived if one not in arrived]
            for one in arrived:
                self._deliver(one)
            for one in self._open:
                if one in known:
                    continue
                if one.saved is None and is_lost(one.output):
                    one.saved = one.output.clone()
                for event in self._events[one.first :]:
                    if isinstance(event, _Operation) and event.saved is None and is_lost(event.made):
                        assert event.made is not None
                        event.saved = event.made.clone()


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """Return the tensors that an operation changes in place."""
    given = zip(func._schema.arguments, args, strict=False)
    named = ((one, kwargs[one.name]) for one in func._schema.arguments if one.name in kwargs)
    written = [value for one, value in (*given, *named) if one.alias_info is not None and one.alias_info.is_write]
    return [one for one in tree_leaves(written) if isinstance(one, Tensor)]


def _share_memory(one: Tensor, other: Tensor) -> bool:
    one, other = without_transforms(one), without_transforms(other)
    try:
        return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # no memory of its own
        return one is other
