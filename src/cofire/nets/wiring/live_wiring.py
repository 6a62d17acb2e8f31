"""The wiring of a model as its own passes show it: made at the first, added to when other parts run."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn

from ..layer_names import first_names, named_layers
from ..layer_names import structure as named_structure
from ..tensors_in import look_into
from ..torch_private import push_dispatch_mode, remove_dispatch_mode
from .assemble import assemble
from .assumed import assumed_wiring
from .calls import computes_weight
from .follow import Follower
from .module_calls import ModuleWatch
from .places import Place
from .trails import Trail
from .wired_layers import Layer, Wiring
from .wiring import Start, seen_pass, tensors_of, wire_on_fakes

N_TRAILS = 8
"""How many other ways to an activation are known of a module."""


@dataclass(eq=False)
class LiveWiring:
    """What the passes of a model have shown so far.

    Attributes:
        layers: the layers that were seen, by name, in the order of the network.
        riders: parameters with a number, or a filter, for each unit of another layer.
        places: for each mode, the places of each module's calls.
        assumed: modules that ran but could not be followed, with the reason.
        other_places: of modules whose output had another shape later, or their units on another axis.
        other_trails: to activations of modules that a later pass reached in another way.
        version: grows whenever something is added.
        first: for each name of a module the first one, under which it is known.
        failed: for each part that could be followed in no pass so far, the forms of those calls. A call of another form
            is followed anew: an odd first pass must not hide what an ordinary one shows.
    """

    layers: dict[str, Layer] = field(default_factory=dict)
    riders: set[str] = field(default_factory=set)
    places: dict[bool, dict[str, tuple[Place, ...]]] = field(default_factory=lambda: {True: {}, False: {}})
    assumed: dict[str, str] = field(default_factory=dict)
    other_places: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    other_trails: dict[str, list[Trail]] = field(default_factory=lambda: defaultdict(list))
    version: int = 0
    first: Mapping[str, str] = field(default_factory=dict)
    failed: dict[str, set[Any]] = field(default_factory=dict)
    _by_type: set[str] = field(default_factory=set)  # modules whose places were read from their types

    def knows(self, module: str) -> bool:
        """Return whether a module was seen running, and nothing more is to be learned from another of its calls."""
        return self._ran(module) and module not in self.failed

    def _ran(self, module: str) -> bool:
        return module in self.places[True] or module in self.places[False]

    def unseen(self, modules: Iterable[str]) -> list[str]:
        """Return those of the modules that were not seen running."""
        return [name for name in modules if not self.knows(name)]

    def place(self, module: str, call: int, *, training: bool, shape: Sequence[int]) -> Place | None:
        """Return where an output of that shape shows units; None if it had another shape whenever it was seen.

        Calls beyond those that were seen are like the last.
        """
        found = self.places[training].get(module) or self.places[not training].get(module) or ()
        first = found[min(call, len(found) - 1) :][:1]
        return next((one for one in (*first, *self.other_places[module]) if one.fits(shape)), None)

    def trails(self, module: str, place: Place) -> list[Trail]:
        """Return the ways to the activation behind an output with units at that place.

        They are none where nothing has to be watched: the output itself is what counts.
        """
        if place.is_activation or place.unit_axis is None or not place.n_axes:
            return []
        alike = (place.n_axes, place.unit_axis)
        others = [one for one in self.other_trails[module] if (one.n_axes, one.start_axis) == alike]
        first = [one for one in (place.applied, place.taken) if one is not None]
        if len(others) == N_TRAILS and all(one.own for one in (*first, *others)):
            return []  # it goes another way each time, but meets no activation function
        return first + others

    def also_reached(self, module: str, trail: Trail) -> None:
        """Note another way to the activation of a module; of very many the first are dropped."""
        self.other_trails[module] = [*self.other_trails[module], trail][-N_TRAILS:]

    def learn_shape(
        self, part: nn.Module, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], shape: Sequence[int]
    ) -> Place:
        """Learn anew where a module has its units, whose output has another shape than before.

        Args:
            part: the module.
            name: of it.
            args: what it was given.
            kwargs: likewise, by name.
            shape: of what it returned.
        """
        reason = f"its output has another shape than before ({tuple(shape)}), which does not show where its units are"
        found = Place(None, reason, n_axes=len(shape))
        try:
            alone = wire_on_fakes(part, (args, kwargs)).places[part.training][""][0]
        except Exception as error:  # the forward is the user's code, and may raise anything on fake tensors
            alone = Place(None, f"{type(error).__name__}: {error}")
        if alone.unit_axis is not None and alone.fits(shape):
            found = alone
        else:  # more or fewer axes of samples; the units are still counted from the end
            before = [one for one in self.shown_by(name) if one.n_axes != len(shape) and _has_units(shape, one)]
            if len({one.unit_axis for one in before}) == 1:
                found = before[0]
        if found.unit_axis is not None and not found.is_activation:
            nothing = Trail(len(shape), found.unit_axis, (), own=True)  # what follows it shows as it runs
            found = replace(found, n_axes=len(shape), applied=None, taken=nothing)
        self.other_places[name].append(found)
        return found

    def shown_by(self, module: str) -> list[Place]:
        """Return all places of a module."""
        return [place for of_mode in self.places.values() for place in of_mode.get(module, ())]

    def add(self, wiring: Wiring, prefix: str = "") -> None:
        """Take in the wiring of the model, or of the part of that name."""
        if computes_weight(prefix):  # it ran by itself: someone read the weight
            unshown = (Place(None, "it computes a weight"),)
            named = {mode: dict.fromkeys(of_mode, unshown) for mode, of_mode in wiring.places.items()}
            wiring = replace(wiring, layers=(), groups=(), places=named)
        self.version += 1
        start = f"{prefix}." if prefix else ""
        n_own = sum(not layer.module for layer in wiring.layers)
        ran = {name for of_mode in wiring.places.values() for name in of_mode}
        self._forget_assumed({self._first(f"{start}{name}".rstrip(".")) for name in ran})
        self.riders.update(self._first(start + name) for group in wiring.groups for name in group.riders)
        for layer in wiring.layers:
            if prefix:
                named = f"{start}{layer.name}" if layer.module or n_own > 1 else prefix
                module = f"{start}{layer.module}".rstrip(".")
                layer = replace(
                    layer,
                    name=self._first(named),
                    module=self._first(module),
                    parameter=self._first(start + layer.parameter),
                    parameters=frozenset(self._first(start + one) for one in layer.parameters),
                    is_output=False,
                    group=(),
                )
            self.layers.setdefault(layer.name, layer)
            if layer.assumed:
                self.assumed[layer.module] = layer.assumed
        for training, found in wiring.places.items():
            for name, of_it in found.items():
                renamed = tuple(self._renamed(place, start) for place in of_it) if prefix else of_it
                self.places[training].setdefault(self._first(f"{start}{name}".rstrip(".")), renamed)

    def _first(self, name: str) -> str:
        """Return a name of a module, or of something in one, as the model's first name of that module gives it."""
        module, inside = name, ""
        while module and module not in self.first:
            module, _, last = module.rpartition(".")
            inside = f".{last}{inside}"
        return f"{self.first.get(module, module)}{inside}".lstrip(".")

    def _renamed(self, place: Place, start: str) -> Place:
        def name(module: str | None) -> str | None:
            return None if module is None else self._first(f"{start}{module}".rstrip("."))

        def renamed(trail: Trail | None) -> Trail | None:
            if trail is None:
                return None
            legs = tuple(replace(leg, module=name(leg.module)) for leg in trail.legs)
            return replace(trail, legs=legs, until=name(trail.until))

        return replace(place, applied=renamed(place.applied), taken=renamed(place.taken))

    def _forget_assumed(self, modules: set[str]) -> None:
        """Forget what was assumed of modules of which more is known now."""
        self.layers = {name: one for name, one in self.layers.items() if not one.assumed or one.module not in modules}
        for name in modules:
            self.assumed.pop(name, None)
            self.failed.pop(name, None)
        for name in modules & self._by_type:
            for of_mode in self.places.values():
                of_mode.pop(name, None)
        self._by_type -= modules

    def learn(
        self, part: nn.Module, prefix: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, method: str = ""
    ) -> str:
        """Follow a call of a part of the model on fake tensors; return why that failed, if it did.

        A call of a form that could not be followed before, in no way, is not tried again.

        Args:
            part: the module.
            prefix: its name.
            args: what it is given.
            kwargs: likewise, by name.
            method: the method of it that is called, if not it itself.
        """
        if call_form("", args, kwargs) in self.failed.get(prefix, ()):
            return ""
        try:
            self.add(wire_on_fakes(part, (args, kwargs), method=method), prefix)
            self.complete(part, prefix)
        except Exception as error:  # the forward is the user's code, and may raise anything on fake tensors
            return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return ""

    def assume(self, part: nn.Module, prefix: str, reason: str, form: Any = None) -> None:
        """Read a part of the model by the types of its modules, as a call of that form can't be followed.

        What was followed before stays.
        """
        start = f"{prefix}." if prefix else ""
        wiring = assumed_wiring(part, reason)
        new = {name for name in wiring.places[True] if not self._ran(self._first(f"{start}{name}".rstrip(".")))}
        if new:
            found = {mode: {name: of_mode[name] for name in new} for mode, of_mode in wiring.places.items()}
            layers = tuple(one for one in wiring.layers if one.module in new)
            self.add(replace(wiring, layers=layers, places=found), prefix)
            self._by_type.update(self._first(f"{start}{name}".rstrip(".")) for name in new)
        if new or prefix in self.failed:
            self.failed.setdefault(prefix, set()).add(form)

    def complete(self, part: nn.Module, prefix: str) -> None:
        """Read the layers that ran, but of which no weight was seen making units, by their types.

        A wrapper may exchange their parameters. Depthwise convolutions only filter the units of another layer, so that
        nothing about them is assumed.
        """
        start = f"{prefix}." if prefix else ""
        making = {layer.module for layer in self.layers.values()}
        wiring = assumed_wiring(part, "its parameters were not seen when it ran")
        named = [(layer, self._first(f"{start}{layer.module}".rstrip("."))) for layer in wiring.layers]
        missing = [
            replace(layer, assumed="") if self._first(start + layer.parameter) in self.riders else layer
            for layer, name in named
            if name not in making and self._ran(name) and not computes_weight(name)
        ]
        if missing:
            self.add(replace(wiring, layers=tuple(missing), places={}), prefix)


def _has_units(shape: Sequence[int], place: Place) -> bool:
    axis = place.unit_axis
    return axis is not None and -axis <= len(shape) and shape[axis] == place.units


_KNOWN: "WeakKeyDictionary[nn.Module, tuple[Any, LiveWiring]]" = WeakKeyDictionary()


def live_wiring(model: nn.Module) -> LiveWiring:
    """Return what is known of a model; all that ask about it share this, until its structure changes."""
    structure = tuple((name, ref(module)) for name, module in named_structure(model))
    shapes = tuple((name, tuple(one.shape)) for name, one in model.named_parameters() if hasattr(one, "shape"))
    known = _KNOWN.get(model)
    if known is None or known[0] != (structure, shapes):
        known = _KNOWN[model] = ((structure, shapes), LiveWiring(first=first_names(named_layers(model))))
    return known[1]


def call_form(begins_at: str, args: Any, kwargs: Any) -> Any:
    """Return what tells calls apart that take other ways through a model: all of the arguments but their exact sizes.

    Example:
        >>> import torch
        >>> call_form("", (torch.ones(7, 1),), {"k": 5}) == call_form("", (torch.ones(9, 1),), {"k": 8})
        True
    """
    return begins_at, _form(args), _form(dict(kwargs))


def _form(value: Any) -> Any:
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(min(size, 2) for size in value.shape)
    if isinstance(value, Mapping):
        return tuple((str(name), _form(one)) for name, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_form, value[:8]))
    if isinstance(value, bool | str | None):
        return value
    return max(-1, min(value, 2)) if isinstance(value, int) else type(value).__qualname__


class Observation:
    """Follows a call that the user makes, where one on fake tensors is not possible.

    The operations that run while it is open are seen; nothing of the call changes. Once the call is over it sees
    nothing more, even if an interrupt has ended it.

    Args:
        live: takes in what the call shows.
        part: the module that is called.
        prefix: its name.
        args: what is given to it, or to the module with which following begins.
        kwargs: likewise, by name.
        begins_at: that module, within the part; "" for the part itself.
        hook: wraps the hooks that tell which module runs.
        within: the frame of the call.
    """

    def __init__(
        self,
        live: LiveWiring,
        part: nn.Module,
        prefix: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        begins_at: str,
        hook: Callable[..., Any],
        within: FrameType | None,
    ) -> None:
        self._live, self._part, self._prefix = live, part, prefix
        self._form = call_form(begins_at, args, kwargs)
        self._follower = Follower(tensors_of(part), within=within)
        self._follower.give(look_into((args, kwargs)).tensors)
        self._watch = ModuleWatch(part, self._follower, hook, root=False)
        self._watch.__enter__()
        try:
            self._watch.begin(begins_at, args, kwargs)
            push_dispatch_mode(self._follower)
        except BaseException:
            self._watch.__exit__()
            raise

    def end(self, output: object, *, failure: str) -> None:
        """Take in what the call has shown; ``failure`` is why one on fake tensors was not possible."""
        self.close()
        try:
            self._watch.end("", output)
            found = seen_pass(self._part.training, self._follower, self._watch, Start(), output)
            self._live.add(assemble(self._part, self._follower, [found]), self._prefix)
            self._live.complete(self._part, self._prefix)
        except Exception as error:
            self._live.assume(self._part, self._prefix, f"{failure}; {error}", self._form)

    def close(self) -> None:
        """See nothing more."""
        self._watch.__exit__()
        remove_dispatch_mode(self._follower)
