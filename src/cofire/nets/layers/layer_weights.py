"""The incoming weights of a layer's units, one row per unit, however the layer stores them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..layer_names import clean, named_layers
from ..tensor_kinds import unusable
from ..wiring.assumed import assumed_wiring
from ..wiring.live_wiring import live_wiring
from ..wiring.wired_layers import Layer
from .effective_weight import effective_weight
from .sites import Asked, Request, asked_layers, check


@dataclass(frozen=True, eq=False)
class UnitWeight:
    """A weight, and how it holds the units that it makes.

    Attributes:
        name: of the layer, with the gate or projection behind it where one weight makes several.
        layer: the layer.
        owner: name of the module that holds it.
        attribute: its name in that module.
        start: first of its rows.
        stop: behind the last of its rows; None for all.
    """

    name: str
    layer: Layer
    owner: str
    attribute: str
    start: int = 0
    stop: int | None = None

    @property
    def blocks(self) -> int:
        """How many blocks of units share no input, as the groups of a convolution and experts do."""
        return 1 if self.layer.layout is None else self.layer.layout.blocks

    def read(self, model: nn.Module) -> Tensor:
        """Return the weight (n_units, n_inputs, ...) as `effective_weight` gives it, as a view where possible.

        Raises:
            ValueError: if it is not there any more, or has another shape.
        """
        weight = effective_weight(model.get_submodule(self.owner), self.attribute)
        layout = self.layer.layout
        if weight is None or layout is None or weight.numel() != prod(layout.shape):
            raise ValueError(f"the weight of {self.name!r} has another shape than when the model ran; run it again")
        rows = layout.rows(weight)
        return rows if self.stop is None else rows[self.start : self.stop]


def unit_weights(model: nn.Module, layers: Iterable[Layer]) -> tuple[list[UnitWeight], dict[str, str]]:
    """Return the weights of layers, in their order, and why the others can't be read.

    Args:
        model: the model that the layers belong to.
        layers: as a wiring gives them.
    """
    found: list[UnitWeight] = []
    left_out: dict[str, str] = {}
    seen: dict[tuple[int, tuple[int, ...]], str] = {}
    for layer in layers:
        owner, attribute = _place(layer.parameter)
        weight = effective_weight(model.get_submodule(owner), attribute)
        if reason := _unreadable(layer, weight, seen):
            left_out[layer.name] = reason
        else:
            found.extend(_parts(layer, owner, attribute))
    return found, left_out


def asked_weights(model: nn.Module, asked: Asked, layers: Iterable[Layer]) -> tuple[list[UnitWeight], dict[str, str]]:
    """Return the weights of those layers that are asked for, and why others among these can't be read.

    Raises:
        ValueError: if a pattern matches nothing.
    """
    names = asked_layers(model, [Request(asked)])
    return unit_weights(model, [one for one in layers if {one.module, _place(clean(one.parameter))[0]} & names])


def check_weights(model: nn.Module, asked: Asked) -> None:
    """Check what can be known before the model runs: that a module that is asked for has a parameter of two axes.

    Raises:
        ValueError: if none has, or a pattern matches nothing.
    """
    check(model, [Request(asked)])
    layers, names = named_layers(model), asked_layers(model, [Request(asked)])
    held = [one for name in names for module in layers[name].modules() for one in _tensors(module)]
    if not any(is_lazy(one) or one.ndim > 1 for one in held):
        raise ValueError(
            f"no layer{'' if callable(asked) else f' at {asked!r}'} has weights; choose layers with a weight"
        )


def _tensors(module: nn.Module) -> list[Tensor]:
    """Return a module's own parameters, and tensors that a wrapper has put in their place."""
    return [*module.parameters(recurse=False), *(one for one in vars(module).values() if isinstance(one, Tensor))]


def known_layers(model: nn.Module) -> list[Layer]:
    """Return the layers that passes of a model have shown so far; before the first, those that its types tell."""
    live = live_wiring(model)
    return list(live.layers.values()) or list(assumed_wiring(model, "the model has not run yet").layers)


def _parts(layer: Layer, owner: str, attribute: str) -> Iterator[UnitWeight]:
    if layer.layout is None or not layer.layout.parts:
        yield UnitWeight(layer.name, layer, owner, attribute)
        return
    name = f".{layer.name}".removesuffix(".in_proj")  # attention.query, as it is named in a file of weights
    for part, start, stop in layer.layout.parts:
        yield UnitWeight(f"{name}.{part}".lstrip("."), layer, owner, attribute, start, stop)


def _unreadable(layer: Layer, weight: Tensor | None, seen: dict[tuple[int, tuple[int, ...]], str]) -> str:
    """Return why a layer's weight can't be measured; empty if it can."""
    if weight is None:
        return "its weight is computed in a way that can't be read"
    if reason := unusable(weight):
        return reason
    if layer.layout is None or weight.numel() != prod(layer.layout.shape):
        return "its weight does not show its units on axes of their own"
    # An embedding and an output layer may share a tensor; the units of one are its columns, of the other its rows.
    place = weight.data_ptr(), layer.layout.order
    first = seen.setdefault(place, layer.name) if _is_stored(weight) else layer.name
    return "" if first == layer.name else f"the same tensor as {first}"


def _is_stored(weight: Tensor) -> bool:
    """Return whether a weight lies in memory of its own, not computed anew at each use."""
    try:
        return weight.is_leaf and weight.numel() > 0
    except RuntimeError:  # a view of what FSDP 1 has changed in place since
        return False


def _place(parameter: str) -> tuple[str, str]:
    """Return the module that uses a parameter, and the name under which it does.

    Parametrizations, and the older ``weight_norm`` and pruning, store under other names what a weight is computed from.

    Example:
        >>> _place("fc.parametrizations.weight.original0"), _place("fc.weight_v"), _place("rnn.weight_ih_l0")
        (('fc', 'weight'), ('fc', 'weight'), ('rnn', 'weight_ih_l0'))
    """
    path = parameter.split(".")
    if "parametrizations" in path:
        at = path.index("parametrizations")
        return ".".join(path[:at]), path[at + 1]
    owner, _, last = parameter.rpartition(".")
    for ending in ("_orig", "_v"):
        last = last.removesuffix(ending)
    return owner, last
