"""How groups of units are named, and what is said of layers that can't be cut."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..layers.outputs import UNITS_ARE_OUTPUTS
from ..wiring.wired_layers import Group, Layer


def titles_of(layers: Sequence[Layer]) -> dict[Layer, str]:
    """Return the names to show: the module's, unless several of its parameters make different units."""
    groups = defaultdict(set)
    for layer in layers:
        groups[owner(layer.parameter)].add(layer.group)
    return {
        layer: owner(layer.parameter) if len(groups[owner(layer.parameter)]) == 1 else layer.name for layer in layers
    }


def owner(parameter: str) -> str:
    """Return the name of the module that has a parameter; of the parameter itself if that is the whole model.

    Example:
        >>> owner("encoder.fc.weight"), owner("fc.parametrizations.weight.original0"), owner("table")
        ('encoder.fc', 'fc', 'table')
    """
    before, parametrized, _ = f".{parameter}".partition(".parametrizations.")
    return (before if parametrized else before.rpartition(".")[0])[1:] or parameter


def why_left(layer: Layer, why: Mapping[Group, str]) -> str:
    """Return why a layer's units can't be cut, given the reasons of groups."""
    if layer.is_output:
        return UNITS_ARE_OUTPUTS
    return next(
        (why[group] for group in layer.group if why[group]),
        "its units are used one by one" if layer.units > 1 else "it has one unit",
    )
