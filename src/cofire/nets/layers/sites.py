"""Sites: a layer, before or after its activation function."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, overload

import torch
from torch import nn

from ...stats._base.wording import with_article
from ..layer_names import first_names, named_layers, near, takes_hooks, unwrap
from ..wiring.assumed import assumed_wiring
from ..wiring.live_wiring import LiveWiring
from ..wiring.wiring import wire
from .patterns import Pattern, as_list, matching, split

Stage = Literal["pre", "post"]
Asked: TypeAlias = "Pattern | Site | Sequence[Pattern | Site]"
"""The layers asked for: a pattern, a site, or several of them."""
NEVER_CALLED = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


@dataclass(frozen=True)
class Site:
    """A place in a network where activations are measured.

    Args:
        layer: the layer's name, as ``named_modules()`` gives it, without wrappers' prefixes.
        stage: "pre" is the layer's own output, "post" the output of the activation function applied to it (its own
            output if there is no such function). An activation module's "pre" is its input, "post" its output.
        call: which of its calls within one forward pass of the model, from 0; None for all of them.
        unit_axis: the axis of the output that holds the units; None for the one that the wiring shows.

    Example:
        >>> str(Site("encoder.0")), str(Site("encoder.0", "pre")), str(Site("encoder.0", call=1))
        ('encoder.0', 'encoder.0:pre', 'encoder.0#1')
    """

    layer: str
    stage: Stage = "post"
    call: int | None = None
    unit_axis: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.stage not in ("pre", "post"):
            raise ValueError(f"stage must be 'pre' or 'post', got {self.stage!r}")

    def __str__(self) -> str:
        return self.layer_and_call + (":pre" if self.stage == "pre" else "")

    @property
    def layer_and_call(self) -> str:
        """The site's name without the stage."""
        return self.layer if self.call is None else f"{self.layer}#{self.call}"

    def at_call(self, call: int | None) -> "Site":
        """Return the same site at one of its calls."""
        return self if call == self.call else replace(self, call=call)


@dataclass(frozen=True)
class Sites(Sequence[Site]):
    """The sites found, in the order asked for.

    Attributes:
        found: the sites.
        left_out: layers without units, with the reason.
        assumed: layers whose units were taken from the module's type, with the reason.
    """

    found: tuple[Site, ...]
    left_out: Mapping[str, str]
    assumed: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, index: int) -> Site: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Site]: ...
    def __getitem__(self, index: int | slice) -> Site | Sequence[Site]:
        return self.found[index]

    def __iter__(self) -> Iterator[Site]:
        return iter(self.found)


@dataclass(frozen=True)
class Request:
    """Layers asked for, and the stage at which they are measured where they don't say."""

    asked: Asked
    stage: Stage = "post"

    def __post_init__(self) -> None:
        if isinstance(self.asked, list):  # so that requests can be compared and looked up
            object.__setattr__(self, "asked", tuple(self.asked))


def sites(model: nn.Module, pattern: Asked = "*", *, stage: Stage = "post", example: Any = None) -> Sites:
    """Return the sites of a model that a pattern selects.

    A pattern selects the layers that make units among the modules that it matches; if none of them does (it may name a
    container, or an activation function), all that it matches. In a list, a name that begins with ``!`` excludes what
    it matches.

    Args:
        model: the network.
        pattern: a glob over layer names, ``re:`` and a regular expression, a module type, a callable
            (name, module) -> bool, a `Site`, or a list of these.
        stage: "post" (after the activation function) or "pre".
        example: what the model takes, as for :func:`~cofire.nets.wire`. Without one the model is not run, and only
            torch's own layers are known to make units, by their types.

    Returns:
        A sequence of `Site`, with ``left_out``: name -> reason, and ``assumed`` likewise.

    Raises:
        ValueError: if a pattern matches nothing that can be measured.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2))
        >>> found = sites(model, example=torch.zeros(3, 8))
        >>> [str(site) for site in found]
        ['0', '3']
    """
    model = unwrap(model)
    live = LiveWiring()
    reason = "sites() was given no example to run the model on"
    live.add(assumed_wiring(model, reason) if example is None else wire(model, example))
    live.complete(model, "")
    request = Request(pattern, stage)
    check(model, [request])
    found = resolve(model, [request], live)
    if not found:
        raise ValueError(f"{pattern!r} matches no layer that makes units; {near('', list(live.layers))}")
    return found


def check(model: nn.Module, requests: Sequence[Request]) -> None:
    """Check what can be known before the model runs: that every pattern matches a module.

    Raises:
        ValueError: if one does not, matches only what is never called, or everything is excluded.
    """
    if not takes_hooks(model):
        raise ValueError(f"cannot capture {with_article(type(model).__name__)}: it is {never_seen(model)}")
    layers = named_layers(model)
    for request in requests:
        wanted, unwanted = split(as_list(request.asked))
        dropped = {name for one in unwanted for name in matching(one, layers)}
        names = [site.layer for one in wanted for site in _asked_sites(one, layers, request.stage)]
        if not set(names) - dropped:
            why = "all are excluded" if dropped else "it is empty"
            raise ValueError(f"{request.asked!r} leaves no layer to measure: {why}")
        for name in names if all(map(_is_exact, wanted)) else ():
            if reason := never_seen(layers[name]):
                raise ValueError(f"cannot capture {with_article(type(layers[name]).__name__)}: it is {reason}")


def asked_layers(model: nn.Module, requests: Sequence[Request]) -> set[str]:
    """Return the names of all modules that the requests match, whether they make units or not."""
    return {site.layer for site in asked_sites(model, requests)}


def asked_sites(model: nn.Module, requests: Sequence[Request]) -> list[Site]:
    """Return a site for each module that the requests match, whether it makes units or not."""
    layers, found = named_layers(model), []
    for request in requests:
        wanted, unwanted = split(as_list(request.asked))
        dropped = {name for one in unwanted for name in matching(one, layers)}
        asked = [site for one in wanted for site in _asked_sites(one, layers, request.stage)]
        found += [site for site in asked if site.layer not in dropped]
    return found


def exact_sites(model: nn.Module, requests: Sequence[Request]) -> list[Site]:
    """Return the sites that are asked for by name."""
    layers = named_layers(model)
    return [
        site
        for request in requests
        for one in as_list(request.asked)
        if _is_exact(one) and not str(one).startswith("!")
        for site in _asked_sites(one, layers, request.stage)
    ]


def resolve(model: nn.Module, requests: Sequence[Request], live: LiveWiring) -> Sites:
    """Return the sites that are asked for among the modules that were seen so far.

    Raises:
        ValueError: as for `sites`.
    """
    layers = named_layers(model)
    makers = {layer.module for layer in live.layers.values() if layer.unit_axis is not None}
    found: dict[Site, None] = {}
    for request in requests:
        wanted, unwanted = split(as_list(request.asked))
        dropped = {name for one in unwanted for name in matching(one, layers)}
        for one in wanted:
            asked = [site for site in _asked_sites(one, layers, request.stage) if site.layer not in dropped]
            making = [site for site in asked if site.layer in makers]
            # The first of equal sites counts: sites compare without their unit_axis.
            found.update(dict.fromkeys(making or _that_ran(asked, layers, live, exact=_is_exact(one))))
    first = first_names(dict(layers))
    left_out = {
        name: reason for name in layers if name and (reason := _why_not(name, first[name], layers, live, makers))
    }
    for layer in live.layers.values():
        if layer.unit_axis is None and (layer.module in makers or not layer.module):  # the model itself has no name
            told = f"its units do not show in the output of {layer.module or 'the model'}"
            left_out.setdefault(layer.name, told)
    kept = {site.layer for site in found}
    left_out = {name: reason for name, reason in left_out.items() if name not in kept}
    return Sites(tuple(found), left_out, {name: why for name, why in live.assumed.items() if name in kept})


def _that_ran(asked: list[Site], layers: Mapping[str, nn.Module], live: LiveWiring, *, exact: bool) -> list[Site]:
    """Return the modules without units of their own that show units, or that are asked for by name."""
    return [site for site in asked if exact or any(one.unit_axis is not None for one in live.shown_by(site.layer))]


def _asked_sites(one: object, layers: Mapping[str, nn.Module], stage: Stage) -> list[Site]:
    """Return a site for each module that a pattern matches."""
    first = first_names(dict(layers))
    if isinstance(one, Site):
        if one.layer not in layers:
            raise ValueError(f"the model has no layer {one.layer!r}; {near(one.layer, list(layers))}")
        return [replace(one, layer=first[one.layer])]
    if isinstance(one, str) and one.endswith((":pre", ":post")):  # as `Site` writes its stage
        one, _, own = one.rpartition(":")
        stage = cast(Stage, own)
    return list(dict.fromkeys(Site(first[name], stage) for name in matching(cast(Pattern, one), layers)))


def _is_exact(one: object) -> bool:
    """Return whether a pattern names one module."""
    return isinstance(one, Site) or (isinstance(one, str) and not one.startswith("re:") and not set("*?[") & set(one))


def never_seen(module: nn.Module) -> str:
    """Return why hooks on a module never run; empty if they do."""
    if not takes_hooks(module):
        return "TorchScript, in which hooks do not run; capture the module it was scripted from"
    return "a list of modules or parameters, never called" if isinstance(module, NEVER_CALLED) else ""


def _why_not(name: str, first: str, layers: Mapping[str, nn.Module], live: LiveWiring, makers: set[str]) -> str:
    """Return why a module is not measured by default; empty if it is."""
    if first != name:
        return f"the same module as {first!r}"
    if reason := never_seen(layers[name]):
        return reason
    if name in makers:
        return ""
    if not live.knows(name):
        users = [one.module for one in live.layers.values() if one.parameter.startswith(f"{name}.")]
        return f"its weight is used without calling it, in {users[0] or 'the model'}" if users else "never ran"
    inside = [layers[one] for one in layers if one == name or (one.startswith(f"{name}.") and not live.knows(one))]
    if any(isinstance(value, torch.ScriptObject) for module in inside for value in vars(module).values()):
        return (
            f"its weight is packed, as quantized {type(layers[name]).__name__} keeps it, so that its units do not show"
        )
    hidden = [one.parameter for one in live.layers.values() if one.module == name]
    if hidden:
        return f"its output does not show the units of {', '.join(hidden)}"
    return "makes no units of its own"
