"""Cut groups out of a network and check, operation by operation, that the smaller one does what it should."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from ..layer_names import named_layers
from ..surgery.counts import like
from ..surgery.cut_groups import Change, cut, named_tensors, replace
from ..surgery.output_change import numbers
from ..surgery.tensor_axes import units_along
from ..wiring.code_sizes import Attribute, as_predicted, ran_operations
from ..wiring.dimensions import Dimension, kept, leaves, root, size_after
from ..wiring.fake_copy import has_users_hooks, own_arguments, random_states_kept
from ..wiring.wiring import Arguments
from .free_groups import Coupled, Free, Structure
from .watching import running

Keep = Mapping[Dimension, Tensor]
"""For each group's leaf the units that stay, ascending."""


OTHERWISE = "the code fixes its size: with fewer units, the network computes something else"
NO_DIVISOR = "a number of the model ties it to others, with which its size has no common divisor"


class Conflict(ValueError):
    """A number in the model counts dimensions that the cut would give different sizes."""


def cut_out(net: nn.Module, structure: Structure, keep: Keep, weights: Mapping[str, Tensor] | None = None) -> Change:
    """Cut units out of a network in place: all tensors that have them on an axis, and the numbers that count them.

    Args:
        net: the network.
        structure: its groups.
        keep: the units that stay.
        weights: full-sized tensors that take the place of parameters and buffers first.

    Raises:
        Conflict: if a number of the model counts two dimensions that would no longer be equal.
    """
    keep = {root(leaf): units for leaf, units in keep.items()}
    sizes = {leaf: len(units) for leaf, units in keep.items()}
    changed = attribute_values(structure.attributes, sizes)
    change = cut(net, structure.wiring.dimensions, keep, weights or {})
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
    for name, (one, factor) in rescaled(structure, keep).items():
        factor = factor[kept(structure.wiring.dimensions[name][one.axis], keep)]
        with torch.no_grad():
            tensors[name].mul_(along_axis(factor, one.axis, tensors[name]))
            if one.bias and tensors[one.bias].shape == factor.shape:
                tensors[one.bias].mul_(factor.to(tensors[one.bias]))


def rescaled(structure: Structure, keep: Keep) -> dict[str, tuple[Coupled, Tensor]]:
    """Return by what the makers of units are multiplied in a cut: for each, where they lie and a factor for each index.

    Attention divides products of queries and keys by a root of their number, and that falls.
    """
    found = {}
    for group in structure.groups.values():
        exponent, one = structure.exponents.get(group.leaf, 0.0), group.coupled
        if one is not None and exponent and group.leaf in keep:
            share = len(keep[group.leaf]) / group.n_units
            found[one.maker] = one, torch.where(one.along >= 0, share**exponent, 1.0)
    return found


def along_axis(values: Tensor, axis: int, tensor: Tensor) -> Tensor:
    """Return values for each index of an axis so that they broadcast over a tensor, in its type."""
    shape = [1] * tensor.dim()
    shape[axis] = -1
    return values.view(shape).to(tensor)


Bundles = list[list[Free]]
"""Groups that can be cut, those in one list that a number of the model ties."""


def cuttable(net: nn.Module, structure: Structure, arguments: Arguments) -> tuple[Bundles, dict[str, str]]:
    """Return the groups that can be cut together, and why others can't be; all are tried at about three quarters.

    Where units are multiplied with one another, the smaller network must put out what the network does without them.

    Args:
        net: the network.
        structure: its groups.
        arguments: an example of what it takes.
    """
    bad: dict[str, str] = {}
    every: Bundles = []
    keep: dict[Dimension, Tensor] = {}
    sizes: Counter[int] = Counter()
    for groups in structure.bundles():
        if gcd(*(one.n_units for one in groups)) < 2:
            bad.update({one.name: NO_DIVISOR for one in groups})
        else:
            keep |= _three_quarters(groups, less=sizes[groups[0].n_units])
            sizes[groups[0].n_units] += 1
            every.append(groups)
    good, refused = allowed(net, structure, every, keep, arguments)
    bad |= refused
    for groups in [groups for groups in good if any(one.coupled for one in groups)]:
        if reason := differs(net, structure, groups, keep, arguments):
            good.remove(groups)
            bad.update({one.name: reason for one in groups})
    return good, bad


def allowed(
    net: nn.Module, structure: Structure, bundles: Bundles, keep: Keep, arguments: Arguments
) -> tuple[Bundles, dict[str, str]]:
    """Return the groups that can be cut to given units together, and why others can't be.

    All are cut at once, in place and back again, and the smaller network runs on fake tensors: each operation has to
    put out the shapes that the wiring predicts. Where it doesn't, groups are tried apart. Code may go another way at
    another size, as that of shared heads does at a single one: such a group can be cut if the smaller network, run on
    the example, puts out what the network does without these units.

    Args:
        net: the network.
        structure: its groups.
        bundles: those to try.
        keep: the units that stay; groups that are not named stay whole.
        arguments: an example of what the network takes.
    """
    good: Bundles = []
    otherwise: Bundles = []
    bad: dict[str, str] = {}

    def works(some: Bundles) -> str:
        leafs = [one.leaf for groups in some for one in groups if one.leaf in keep]
        return tried(net, structure, {leaf: keep[leaf] for leaf in leafs}, arguments) if leafs else ""

    def add(some: Bundles) -> None:
        reason = works([*good, *some])
        if not reason:
            good.extend(some)
        elif len(some) > 1:
            add(some[: len(some) // 2])
            add(some[len(some) // 2 :])
        elif reason == OTHERWISE and not (
            any(one.mixed for one in some[0]) or differs(net, structure, some[0], keep, arguments)
        ):
            otherwise.extend(some)
        else:
            bad.update({one.name: reason for one in some[0]})

    if not works(bundles):
        return list(bundles), {}
    kinds: dict[str, Bundles] = defaultdict(list)
    for groups in bundles:
        kinds[kind_of(groups[0].name)].append(groups)
    for some in kinds.values():
        add(some)
    return [*good, *otherwise], bad


def _three_quarters(groups: Sequence[Free], *, less: int = 0) -> dict[Dimension, Tensor]:
    """Return units that stay: three quarters, or a few less, so that groups of one size come to different ones."""
    n = gcd(*(one.n_units for one in groups))
    left = max(1, n - max(1, n // 4) - (less % (n // 4) if n >= 8 else 0))
    return {one.leaf: torch.arange(one.n_units // n * left) for one in groups}


def differs(net: nn.Module, structure: Structure, groups: Sequence[Free], keep: Keep, arguments: Arguments) -> str:
    """Return why a network puts out something else with fewer units than without what they hold.

    Attention may divide the products of queries and keys by the root of their number, in a way that no shape shows;
    where that makes them the same, the power is noted.
    """
    keep = {one.leaf: keep[one.leaf] for one in groups}
    coupled = [one.leaf for one in groups if one.coupled]
    wanted = _without(net, structure, groups, keep, arguments)
    for exponent in (0.0, 0.5) if coupled else (0.0,):
        structure.exponents.update(dict.fromkeys(coupled, exponent))
        change = cut_out(net, structure, keep)
        try:
            found = _outputs(net, arguments)
        except Exception:  # whatever the user's forward raises on a width that it did not expect
            found = []
        finally:
            change.take_back()
        if len(found) == len(wanted) and all(map(_are_close, found, wanted)):
            return ""
    for leaf in coupled:
        del structure.exponents[leaf]
    return "the network computes something else with fewer of these units than without what they hold"


def _are_close(found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape and bool((found - wanted).norm() <= 1e-3 * wanted.norm())


def _without(
    net: nn.Module, structure: Structure, groups: Sequence[Free], keep: Keep, arguments: Arguments
) -> list[Tensor]:
    """Return the outputs of a network in which nothing reads the units that would go; or makes them, if it multiplies
    them with one another.
    """
    zeroed: dict[str, Tensor] = {}
    for one in groups:
        gone = torch.ones(one.n_units + 1, dtype=torch.bool)
        gone[keep[one.leaf]] = False
        gone[-1] = False
        makers = {name for name, _ in net.named_parameters()} if one.coupled else set()
        for name in {*one.readers, *makers}:
            dimensions = structure.wiring.dimensions.get(name, ())
            for axis, dimension in enumerate(dimensions):
                units = units_along(dimension, one.leaf) if one.leaf in leaves(dimension) else None
                if units is not None:
                    old = zeroed.get(name, named_tensors(net)[name].detach())
                    shape = [1] * old.dim()
                    shape[axis] = -1
                    zeroed[name] = old.masked_fill(gone[units].view(shape).to(old.device), 0)
    change = Change()
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
        if has_users_hooks(net):
            _outputs(net, arguments)
    except Exception as error:  # whatever the user's forward raises on a width that it did not expect
        line = str(error).strip().partition("\n")[0]
        return f"the code fixes its size: with fewer units, the network raises {type(error).__name__}: {line}"
    finally:
        change.take_back()
    sizes = {root(leaf): len(units) for leaf, units in keep.items()}
    if not as_predicted(structure.wiring.operations, ran, sizes):
        return OTHERWISE
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
