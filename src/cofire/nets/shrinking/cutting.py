"""Cut groups out of a network and check, operation by operation, that the smaller one does what it should."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from ..layer_names import named_layers
from ..surgery.cut_groups import Change, cut, named_tensors, replace
from ..surgery.output_change import numbers
from ..wiring.code_sizes import Attribute, as_predicted, ran_operations
from ..wiring.dimensions import Dimension, kept, leaves, root, size_after
from ..wiring.fake_copy import own_arguments, random_states_kept
from ..wiring.wiring import Arguments
from .groups import Free, Structure, units_along
from .watching import running

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
    _rescale(net, structure, keep)
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


def _rescale(net: nn.Module, structure: Structure, keep: Keep) -> None:
    """Multiply queries, say, whose products with keys are divided by a root of their number, after a cut."""
    tensors = named_tensors(net)
    for group in structure.groups.values():
        exponent, one = structure.exponents.get(group.leaf, 0.0), group.coupled
        if one is None or not exponent or group.leaf not in keep:
            continue
        stays = kept(structure.wiring.dimensions[one.maker][one.axis], keep)
        factor = torch.where(one.along[stays] >= 0, (len(keep[group.leaf]) / group.n_units) ** exponent, 1.0)
        weight = tensors[one.maker]
        shape = [1] * weight.dim()
        shape[one.axis] = -1
        with torch.no_grad():
            weight.mul_(factor.view(shape).to(weight))
            if one.bias and tensors[one.bias].shape == factor.shape:
                tensors[one.bias].mul_(factor.to(tensors[one.bias]))


def _entries(net: nn.Module, structure: Structure, leaf: Dimension) -> dict[str, list[Tensor]]:
    """Return for each parameter that makes units of a leaf which indices of each axis are of any unit, as bools."""
    readers = {name for one in structure.groups.values() if one.leaf is leaf for name in one.readers}
    found = {}
    for name, _ in net.named_parameters():
        dimensions = structure.wiring.dimensions.get(name, ())
        if name not in readers and any(leaf in leaves(one) for one in dimensions):
            found[name] = [
                torch.ones(one.size, dtype=torch.bool) if units is None or leaf not in leaves(one) else units >= 0
                for one in dimensions
                for units in [units_along(one, leaf)]
            ]
    return found


def outer(parts: Sequence[Tensor]) -> Tensor:
    """Return where all of several bools hold, with an axis for each.

    Example:
        >>> outer([torch.tensor([True, False]), torch.tensor([True, True, False])])
        tensor([[ True,  True, False],
                [False, False, False]])
    """
    found = torch.ones((), dtype=torch.bool)
    for part in parts:
        found = found[..., None] & part
    return found


def cuttable(net: nn.Module, structure: Structure, arguments: Arguments) -> tuple[list[list[Free]], dict[str, str]]:
    """Return the groups that can be cut together, those in one list that are tied, and why others can't be.

    All are cut to three quarters at once, in place and back again, and the smaller network runs on fake tensors: each
    operation has to put out the shapes that the wiring predicts. Where it doesn't, groups are tried apart. Where units
    are multiplied with one another, the smaller network runs on the example too, and must put out what the network does
    without these units.

    Args:
        net: the network.
        structure: its groups.
        arguments: an example of what it takes.
    """
    good: list[list[Free]] = []
    bad: dict[str, str] = {}

    def works(bundles: Sequence[Sequence[Free]]) -> str:
        keep = {leaf: units for groups in bundles for leaf, units in _three_quarters(groups).items()}
        return tried(net, structure, keep, arguments)

    def add(bundles: Sequence[list[Free]]) -> None:
        reason = works([*good, *bundles]) if bundles else ""
        if not reason:
            good.extend(bundles)
        elif len(bundles) == 1:
            bad.update({one.name: reason for one in bundles[0]})
        else:
            add(bundles[: len(bundles) // 2])
            add(bundles[len(bundles) // 2 :])

    every = []
    for groups in structure.bundles():
        if gcd(*(one.n_units for one in groups)) < 2:
            bad.update(
                {one.name: "a number of the model ties it to others, which have no common divisor" for one in groups}
            )
        else:
            every.append(groups)
    if every and works(every):
        kinds: dict[str, list[list[Free]]] = defaultdict(list)
        for groups in every:
            kinds[kind_of(groups[0].name)].append(groups)
        for bundles in kinds.values():
            add(bundles)
    else:
        good = every
    for groups in [groups for groups in good if any(one.coupled for one in groups)]:
        if reason := _scaled(net, structure, groups, arguments):
            good.remove(groups)
            bad.update({one.name: reason for one in groups})
    return good, bad


def _three_quarters(groups: Sequence[Free]) -> dict[Dimension, Tensor]:
    n = gcd(*(one.n_units for one in groups))
    left = max(1, n - max(1, n // 4))
    return {one.leaf: torch.arange(one.n_units // n * left) for one in groups}


def _scaled(net: nn.Module, structure: Structure, groups: Sequence[Free], arguments: Arguments) -> str:
    """Find by which power of the share of units products of them are to be multiplied; return why none is right.

    Attention may divide the products of queries and keys by the root of their number, in a way that no shape shows.
    """
    keep = _three_quarters(groups)
    coupled = [one.leaf for one in groups if one.coupled]
    wanted = _without(net, structure, groups, keep, arguments)
    for exponent in (0.0, 0.5):
        structure.exponents.update(dict.fromkeys(coupled, exponent))
        change = cut_out(net, structure, keep)
        try:
            found = _outputs(net, arguments)
        finally:
            change.take_back()
        same = len(found) == len(wanted) and all(
            a.shape == b.shape and bool((a - b).norm() <= 1e-3 * b.norm()) for a, b in zip(found, wanted, strict=True)
        )
        if same:
            return ""
    for leaf in coupled:
        del structure.exponents[leaf]
    return "the network computes something else with fewer of these units than without what they hold"


def _without(
    net: nn.Module, structure: Structure, groups: Sequence[Free], keep: Keep, arguments: Arguments
) -> list[Tensor]:
    """Return the outputs of a network in which nothing makes the units that would go."""
    change = Change()
    zeroed: dict[str, Tensor] = {}
    for one in groups:
        gone = torch.ones(one.n_units + 1, dtype=torch.bool)
        gone[keep[one.leaf]] = False
        gone[-1] = False
        for name in _entries(net, structure, one.leaf):
            parts = [
                gone[units] if units is not None and leaf_here else torch.ones(dimension.size, dtype=torch.bool)
                for dimension in structure.wiring.dimensions[name]
                for leaf_here in [one.leaf in leaves(dimension)]
                for units in [units_along(dimension, one.leaf)]
            ]
            old = zeroed.get(name, named_tensors(net)[name].detach())
            zeroed[name] = old.masked_fill(outer(parts).to(old.device), 0)
    replace(net, zeroed, change)
    try:
        return _outputs(net, arguments)
    finally:
        change.take_back()


def _outputs(net: nn.Module, arguments: Arguments) -> list[Tensor]:
    args, kwargs = own_arguments(arguments)
    with random_states_kept(net), running(net):
        return [one.double() for one in numbers(net(*args, **kwargs))]


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
