"""Sites: a layer, before or after its activation function."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast, overload

from torch import nn

from .kinds import Kind, kind_of
from ..layer_names import first_names, named_layers, near
from .patterns import Pattern, as_list, matching, split

Stage = Literal["pre", "post"]
Asked: TypeAlias = "Pattern | Site | Sequence[Pattern | Site]"
"""The layers asked for: a pattern, a site, or several of them."""


@dataclass(frozen=True)
class Site:
    """A place in a network where activations are measured.

    Args:
        layer: the layer's name, as ``named_modules()`` gives it, without wrappers' prefixes.
        stage: "pre" is the layer's own output, "post" the output of the activation function applied to it (its own
            output if there is no such function). An activation module's "pre" is its input, "post" its output.
        call: which of its calls within one forward pass of the model, from 0; None for all of them.
        unit_axis: the axis of the output that holds the units; None for the usual one of that kind of layer.

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
    """The sites found, in the order asked for; ``left_out`` names the layers without units, with the reason."""

    found: tuple[Site, ...]
    left_out: Mapping[str, str]

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


def sites(model: nn.Module, pattern: Asked = "*", *, stage: Stage = "post") -> Sites:
    """Return the sites of a model that a pattern selects.

    A pattern selects the layers with units among those that it matches; if none of them has units (it may name a
    container), it selects all that it matches. In a list, a name that begins with ``!`` excludes what it matches.

    Args:
        model: the network.
        pattern: a glob over layer names, ``re:`` and a regular expression, a module type, a callable
            (name, module) -> bool, a `Site`, or a list of these.
        stage: "post" (after the activation function) or "pre".

    Returns:
        A sequence of `Site`, with ``left_out``: name -> reason.

    Raises:
        ValueError: if a pattern matches nothing that can be measured.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2))
        >>> found = sites(model, nn.Linear)
        >>> [str(site) for site in found]
        ['0', '3']
        >>> sites(model).left_out
        {'2': 'dropout'}
    """
    layers = named_layers(model)
    kinds = _kinds(layers)
    wanted, unwanted = split(as_list(pattern))
    # The first of equal sites counts: sites compare without their unit_axis.
    taken = dict.fromkeys(site for one in wanted for site in _sites_of(one, layers, kinds, stage))
    dropped = {name for one in unwanted for name in matching(one, layers)}
    found = tuple(site for site in taken if site.layer not in dropped)
    if not found:
        raise ValueError(f"{pattern!r} leaves no layer to measure: {'all are excluded' if dropped else 'it is empty'}")
    left_out = {name: kind for name, kind in kinds.items() if isinstance(kind, str) and name}
    return Sites(found, {name: reason for name, reason in left_out.items() if name not in {s.layer for s in found}})


def _kinds(layers: Mapping[str, nn.Module]) -> dict[str, Kind | str]:
    first = first_names(dict(layers))
    kinds: dict[str, Kind | str] = {}
    for name, module in layers.items():
        parent = layers.get(name.rpartition(".")[0]) if name else None
        if first[name] != name:
            kinds[name] = f"the same module as {first[name]!r}"
        elif isinstance(parent, nn.MultiheadAttention):
            kinds[name] = "attention uses its weight without calling it"
        else:
            kinds[name] = kind_of(module)
    return kinds


def _sites_of(
    one: object, layers: Mapping[str, nn.Module], kinds: Mapping[str, Kind | str], stage: Stage
) -> list[Site]:
    first = first_names(dict(layers))
    if isinstance(one, Site):
        if one.layer not in layers:
            raise ValueError(f"the model has no layer {one.layer!r}; {near(one.layer, list(layers))}")
        return [replace(one, layer=first[one.layer])]
    if isinstance(one, str) and one.endswith((":pre", ":post")):  # as `Site` writes its stage
        one, _, own = one.rpartition(":")
        stage = cast(Stage, own)
    matched = matching(cast(Pattern, one), layers)
    with_units = [name for name in matched if isinstance(kinds[name], Kind)]
    return [Site(first[name], stage) for name in with_units or matched]
