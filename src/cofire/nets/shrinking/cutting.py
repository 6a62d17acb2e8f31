"""Cut groups out of a network and check, operation by operation, that the smaller one does what it should."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..layer_names import named_layers
from ..surgery.cut_groups import Change, cut
from ..wiring.code_sizes import Attribute, as_predicted, ran_operations
from ..wiring.dimensions import Dimension, kept, root, size_after
from ..wiring.wiring import Arguments
from .groups import Free, Structure

Keep = Mapping[Dimension, Tensor]
"""For each group's leaf the units that stay, ascending."""


class Conflict(ValueError):
    """A number in the model counts dimensions that the cut would give different sizes."""


def cut_out(net: nn.Module, structure: Structure, keep: Keep) -> Change:
    """Cut units out of a network in place: all tensors that have them on an axis, and the numbers that count them.

    Raises:
        Conflict: if a number of the model counts two dimensions that would no longer be equal.
    """
    keep = {root(leaf): units for leaf, units in keep.items()}
    sizes = {leaf: len(units) for leaf, units in keep.items()}
    changed = attribute_values(structure.attributes, sizes)
    change = cut(net, structure.wiring.dimensions, keep, {})
    modules = named_layers(net)
    for (path, name, entry), value in changed.items():
        module = modules[path]
        old = vars(module)[name]
        if entry < 0:
            new: Any = value
        else:
            items = list(old)
            items[entry] = value
            new = like(old, items)
        if old != new:
            change.count(path, module, name, new)
    return change


def like(old: Any, items: list[Any]) -> Any:
    """Return numbers as the tuple, list or size that they stand in for."""
    return torch.Size(items) if isinstance(old, torch.Size) else items if isinstance(old, list) else tuple(items)


def attribute_values(
    attributes: Mapping[Attribute, tuple[Dimension, ...]], sizes: Mapping[Dimension, int]
) -> dict[Attribute, int]:
    """Return the numbers of modules that change, with their new values.

    Raises:
        Conflict: if one counts dimensions that would differ.
    """
    found = {}
    for attribute, dimensions in attributes.items():
        values = {size_after(one, sizes) for one in dimensions}
        if len(values) > 1:
            raise Conflict(f"{attribute.module}.{attribute.name} counts dimensions that would no longer be equal")
        if values != {dimensions[0].size}:
            found[attribute] = values.pop()
    return found


def cuttable(net: nn.Module, structure: Structure, arguments: Arguments) -> tuple[list[Free], dict[str, str]]:
    """Return the groups that can be cut together, and why others can't be.

    All are cut to three quarters at once, in place and back again, and the smaller network runs on fake tensors: each
    operation has to put out the shapes that the wiring predicts. Where it doesn't, groups are tried apart.

    Args:
        net: the network.
        structure: its groups.
        arguments: an example of what it takes.
    """
    good: list[Free] = []
    bad: dict[str, str] = {}

    def works(groups: Sequence[Free]) -> str:
        keep = {one.leaf: torch.arange(max(1, one.n_units - max(1, one.n_units // 4))) for one in groups}
        return tried(net, structure, keep, arguments)

    def add(groups: Sequence[Free]) -> None:
        reason = works([*good, *groups]) if groups else ""
        if not reason:
            good.extend(groups)
        elif len(groups) == 1:
            bad[groups[0].name] = reason
        else:
            add(groups[: len(groups) // 2])
            add(groups[len(groups) // 2 :])

    every = list(structure.groups.values())
    if works(every):
        kinds: dict[str, list[Free]] = defaultdict(list)
        for one in every:
            kinds[kind_of(one.name)].append(one)
        for groups in kinds.values():
            add(groups)
    else:
        good = every
    return good, bad


def tried(net: nn.Module, structure: Structure, keep: Keep, arguments: Arguments) -> str:
    """Return why a network can't be cut so; empty if it can. It is put together again."""
    try:
        change = cut_out(net, structure, keep)
    except Conflict as error:
        return f"the code fixes its size: {error}"
    try:
        ran = ran_operations(net, arguments)
    except Exception as error:  # whatever the user's forward raises on a width that it did not expect
        line = str(error).strip().partition("\n")[0]
        return f"the code fixes its size: with fewer units, the network raises {type(error).__name__}: {line}"
    finally:
        change.take_back()
    sizes = {root(leaf): len(units) for leaf, units in keep.items()}
    if not as_predicted(structure.wiring.operations, ran, sizes):
        return "the code fixes its size: with fewer units, the network computes something else"
    return ""


def kind_of(name: str) -> str:
    """Return a layer's name without its numbers; layers of one kind differ in these only.

    Example:
        >>> kind_of("encoder.layer.11.output[1]")
        'encoder.layer.#.output[#]'
    """
    return re.sub(r"\d+", "#", name)


def kept_columns(labels: Mapping[Dimension, Sequence[Tensor]], keep: Keep, block: int, n: int) -> Tensor:
    """Return which columns of a block stay, bool of shape (n,)."""
    stays = torch.ones(n, dtype=torch.bool)
    for leaf, blocks in labels.items():
        units = keep.get(leaf)
        if units is not None:
            gone = torch.ones(leaf.size + 1, dtype=torch.bool)
            gone[units] = False
            gone[-1] = False
            stays &= ~gone[blocks[block]]
    return stays


def alive_entries(dimensions: Iterable[Dimension], keep: Keep, shape: torch.Size) -> Tensor:
    """Return which entries of a parameter stay, bool, in its shape."""
    alive = torch.ones(shape, dtype=torch.bool)
    roots = {root(leaf): units for leaf, units in keep.items()}
    for axis, dimension in enumerate(dimensions):
        stays = torch.zeros(shape[axis], dtype=torch.bool)
        stays[kept(dimension, roots)] = True
        view = [1] * len(shape)
        view[axis] = -1
        alive &= stays.view(view)
    return alive
