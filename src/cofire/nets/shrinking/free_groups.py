"""Find the groups of units that can be cut, with the weights that have to make up for what goes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ..loading.batches import arguments, batch_length, forward
from ..surgery.cut_groups import named_tensors
from ..surgery.tensor_axes import units_along
from ..torch_private import version
from ..wiring.code_sizes import Attribute, code_sizes
from ..wiring.dimensions import Dimension, factors, leaves, root, size_after, terms
from ..wiring.wired_layers import Group, Layer, Wiring
from ..wiring.wiring import wire
from .contraction import Contraction, columns_of, outputs_of, per_axis
from .group_names import owner, titles_of, why_left
from .refit.residuals import Residual, ResidualWatch
from .watching import Watch, running


@dataclass(frozen=True, eq=False)
class Free:
    """A group of units that the wiring lets go.

    Attributes:
        name: of the first layer that makes them, numbered if its units fall into several groups.
        layers: all layers that make them.
        n_units: their number.
        leaf: the dimension that stands for them.
        makers: parameters that make them.
        readers: parameters that take them in.
        mixed: how an operation mixes them, as a normalization does, so that a cut changes what it makes of the others;
            empty if none does.
        coupled: where one of the tensors is made in which they are multiplied with one another; None if they are not.
    """

    name: str
    layers: tuple[str, ...]
    n_units: int
    leaf: Dimension
    makers: tuple[str, ...]
    readers: tuple[str, ...]
    mixed: str
    coupled: "Coupled | None" = None


@dataclass(frozen=True, eq=False)
class Coupled:
    """Where units that are multiplied with one another are made, as those of queries are.

    Attributes:
        maker: name of the parameter.
        outputs: the unit of each output of each block; -1 for none.
        axis: axis of the parameter on which they lie.
        along: the unit at each index of that axis; -1 for none.
        bias: name of the parameter that is added to them; empty if there is none.
    """

    maker: str
    outputs: Sequence[Tensor]
    axis: int
    along: Tensor
    bias: str = ""


@dataclass(eq=False)
class Reader:
    """A weight that takes units in.

    Attributes:
        name: of the parameter.
        columns: for each group that it reads, and each block of the weight, the unit of each column; -1 for none.
        absorber: name of the bias, or of the running mean of a batch norm, that takes a constant in; empty if none.
        source: name of the first reader that takes in the same data in the same way.
        uses: how often it is used in a pass.
        order: when it is used first.
        refits: whether it may be changed: all that uses it are products.
        residual: what its output is added to; None if it goes into no sum.
    """

    name: str
    columns: dict[Dimension, list[Tensor]] = field(default_factory=dict)
    absorber: str = ""
    source: str = ""
    uses: int = 0
    order: int = 0
    refits: bool = True
    residual: Residual | None = None


@dataclass(frozen=True, eq=False)
class Structure:
    """What can be cut from a network.

    Attributes:
        groups: by name.
        readers: by the parameter's name, in the order of the network.
        left: why other layers can't be cut.
        wiring: the wiring.
        attributes: numbers of modules that count dimensions.
        positions: rows of a sample for each parameter that multiplies data; times its size, its multiplications.
        largest: bytes of the largest tensor per sample.
        learned: names of the parameters, tied ones once.
        steps: of which number the size of a group must be a multiple, where that is not 1.
        exponents: for a leaf, by which power of its share of units queries, say, are multiplied after a cut.
    """

    groups: dict[str, Free]
    readers: dict[str, Reader]
    left: dict[str, str]
    wiring: Wiring
    attributes: Mapping[Attribute, tuple[Dimension, ...]]
    positions: Mapping[str, float]
    largest: float
    learned: tuple[str, ...]
    steps: Mapping[str, int]
    exponents: dict[Dimension, float] = field(default_factory=dict)

    def bundles(self) -> list[list[Free]]:
        """Return the groups, those together that a number of the model ties: it counts the units of each."""
        by_leaf = {one.leaf: one for one in self.groups.values()}
        bundle = {leaf: [one] for leaf, one in by_leaf.items()}
        for dimensions in self.attributes.values():
            own = [set(leaves(one)) for one in dimensions]
            rest = [one - set.intersection(*own) for one in own]
            tied = [next(iter(one)) for one in rest if len(one) == 1]
            if len(tied) < len(rest) or not all(leaf in by_leaf for leaf in tied):
                continue
            joined = list(dict.fromkeys(one for leaf in tied for one in bundle[leaf]))
            for one in joined:
                bundle[one.leaf] = joined
        return list({id(one): one for one in bundle.values()}.values())

    def count(self, sizes: Mapping[Dimension, int], *, per: str = "parameters") -> float:
        """Return the number of parameters, or of multiplications with them, at the given sizes."""
        return sum(one.cost(sizes) for one in self.terms(per))

    def terms(self, per: str) -> list["Term"]:
        """Return the cost of each parameter as a function of sizes."""
        names = self.positions if per == "flops" else self.learned
        return [
            Term(self.wiring.dimensions[name], self.positions[name] if per == "flops" else 1.0)
            for name in names
            if name in self.wiring.dimensions
        ]


@dataclass(frozen=True, eq=False)
class Term:
    """The cost of a parameter: the product of its axes' sizes, times a factor."""

    dimensions: tuple[Dimension, ...]
    factor: float

    def cost(self, sizes: Mapping[Dimension, int]) -> float:
        """Return it at the given sizes."""
        return self.factor * prod(size_after(one, sizes) for one in self.dimensions)


def structure(net: nn.Module, first: Any, shared: Sequence[str] = ()) -> Structure:
    """Return what can be cut from a network.

    Args:
        net: a copy of the network in eval mode, whose parameters share no memory.
        first: the first batch of the data; it shows how the network runs.
        shared: names of parameters that shared memory before the network was copied.
    """
    args, kwargs = arguments(net, first)
    wiring = wire(net, kwargs or args)
    if wiring.one_way or not wiring.groups:
        note = wiring.one_way or next(iter(wiring.notes), "none of its layers makes units")
        reason = f"the model could not be followed in all that it may do: {note}"
        left = {owner(name): reason for name, one in net.named_parameters() if one.dim() > 1}
        return Structure({}, {}, left, wiring, {}, {}, 0.0, (), {})
    why = {group: _why_fixed(group, shared) for group in wiring.groups}
    free = [group for group, reason in why.items() if not reason]
    coupled = {group.leaf: group.makers for group in free if _coupling(group)}
    seen = _Seen(net, wiring, {group.leaf: group.readers for group in free}, coupled)
    seen.run(first)
    for group in free:
        why[group] = seen.reasons.get(group.leaf, "")
    titles = titles_of(wiring.layers)
    groups = {one.name: one for group in free if not why[group] for one in [_free(group, wiring, titles, seen)]}
    cut = {layer for one in groups.values() for layer in one.layers}
    cut |= {owner(name) for group in free if not why[group] for name in group.riders}
    left = {owner(name): reason for name, reason in wiring.left_out.items()}
    left |= {titles[layer]: reason for layer in wiring.layers if (reason := _why_left(layer, why))}
    leafs = {one.leaf for one in groups.values()}
    for reader in seen.readers.values():
        reader.columns = {leaf: one for leaf, one in reader.columns.items() if leaf in leafs}
    readers = {name: one for name, one in seen.readers.items() if one.columns}
    ordered = dict(sorted(readers.items(), key=lambda item: item[1].order))
    n = batch_length(first)
    return Structure(
        groups,
        ordered,
        {name: reason for name, reason in left.items() if name not in cut},
        wiring,
        code_sizes(net, (args, kwargs), wiring),
        {name: rows / n for name, rows in seen.positions.items()},
        seen.watch.largest / n,
        tuple(name for name, _ in net.named_parameters()),
        {one.name: step for one in groups.values() if (step := seen.step(one.leaf)) > 1},
    )


def _free(group: Group, wiring: Wiring, titles: Mapping[Layer, str], seen: "_Seen") -> Free:
    makers = [layer for layer in wiring.layers if group in layer.group]
    named = tuple(dict.fromkeys(titles[layer] for layer in makers))
    place = f"[{makers[0].group.index(group)}]" if len(makers[0].group) > 1 else ""
    return Free(
        named[0] + place,
        named,
        group.size,
        group.leaf,
        group.makers,
        group.readers,
        mixed=_mixing(group),
        coupled=seen.makers.get(group.leaf),
    )


class _Seen:
    """What a pass shows of the readers of groups."""

    def __init__(
        self,
        net: nn.Module,
        wiring: Wiring,
        wanted: Mapping[Dimension, Sequence[str]],
        coupled: Mapping[Dimension, Sequence[str]],
    ) -> None:
        self._coupled = coupled
        self.makers: dict[Dimension, Coupled] = {}
        self._net, self._wiring, self._wanted = net, wiring, wanted
        self._tensors = named_tensors(net)
        self._reads: dict[str, list[Dimension]] = defaultdict(list)
        for leaf, names in wanted.items():
            for name in names:
                self._reads[name].append(leaf)
        self._sources: dict[tuple[Any, ...], tuple[str, Tensor]] = {}
        self._products: dict[str, int] = defaultdict(int)
        self._grouped: set[str] = set()
        self.readers: dict[str, Reader] = {}
        self.reasons: dict[Dimension, str] = {}
        self.positions: dict[str, float] = defaultdict(float)
        self.watch = Watch(net, self._see)

    def run(self, batch: Any) -> None:
        """Run the network on a batch."""
        sums = ResidualWatch(self.watch)
        with running(self._net), self.watch, sums:
            forward(self._net, batch)
        sums.forget()
        self._sources.clear()
        for name, one in self.readers.items():
            one.absorber = self.watch.absorbs.get(name, "")
            one.uses = self._products[name]
            one.residual = sums.found.get(name) if one.uses == 1 else None
            one.refits = self.watch.uses[name] == one.uses
            if self.watch.uses[one.absorber] != one.uses:
                one.absorber = ""
        self.makers = {
            leaf: replace(one, bias=self.watch.absorbs.get(one.maker, "")) for leaf, one in self.makers.items()
        }
        for leaf, names in self._coupled.items():
            if leaf in self.makers and self._products[self.makers[leaf].maker] > 1:
                self.reasons.setdefault(leaf, f"{self.makers[leaf].maker} makes its units several times")
            elif leaf not in self.makers:
                self.reasons.setdefault(leaf, f"{names[0]} makes its units, but not in a product along one of its axes")
        for leaf, names in self._wanted.items():
            for name in names:
                if leaf not in (self.readers[name].columns if name in self.readers else {}):
                    self.reasons.setdefault(leaf, f"{name} reads its units, but not in a product along one of its axes")

    def step(self, leaf: Dimension) -> int:
        """Return of which number a group's size must be a multiple: rows of a grouped product begin at 16 bytes."""
        sizes = [self._tensors[name].element_size() for name in self._grouped if self._has(name, leaf)]
        return max((16 // size for size in sizes), default=1)

    def _has(self, name: str, leaf: Dimension) -> bool:
        return any(root(leaf) in leaves(one) for one in self._wiring.dimensions[name])

    def _see(self, name: str, one: Contraction, run: Any) -> Tensor:
        output = run()
        self._products[name] += 1
        if one.kind == "grouped":
            self._grouped.add(name)
        blocks = len(one.matrices()) if one.kind in ("grouped", "batched") else 1  # a row meets one of them
        self.positions[name] += _n_rows(one) / blocks
        for leaf, makers in self._coupled.items():
            if name in makers and leaf not in self.makers:
                made = _made(name, self._wiring.dimensions[name], leaf, self._tensors[name], one)
                if made is not None:
                    self.makers[leaf] = made
        if name in self._reads:
            reader = self.readers.get(name)
            if reader is None:
                reader = self.readers[name] = Reader(name, order=len(self.readers))
                reader.source = self._source(name, one)
            for leaf in self._reads[name]:
                columns = _columns(self._wiring.dimensions[name], leaf, self._tensors[name], one)
                if columns is None:
                    self.reasons.setdefault(leaf, f"{name} reads products of its units, or along no axis of its own")
                else:
                    reader.columns.setdefault(leaf, columns)
        return output

    def _source(self, name: str, one: Contraction) -> str:
        data = one.data
        geometry = (one.kind, one.first, *(map(str, one.args[3:9]) if one.kind == "convolution" else ()))
        size = tuple(one.weight.shape[2:]) if one.kind == "convolution" else ()
        key = (data.data_ptr(), tuple(data.shape), data.stride(), version(data), geometry, size)
        return self._sources.setdefault(key, (name, data))[0]


def _n_rows(one: Contraction) -> int:
    if one.kind == "convolution":
        n, axes = one.data.shape[0], one.data.dim() - 2
        stride, padding, dilation = (per_axis(one.args[k], axes, 0 if k == 4 else 1) for k in (3, 4, 5))
        for axis, (size, kernel) in enumerate(zip(one.data.shape[2:], one.weight.shape[2:], strict=True)):
            n *= (size + 2 * padding[axis] - dilation[axis] * (kernel - 1) - 1) // stride[axis] + 1
        return n
    if one.kind == "transposed":
        return one.data.numel() // one.data.shape[1]
    return max(1, one.data.numel() // max(1, one.matrices()[0].shape[1]))


def _columns(
    dimensions: Sequence[Dimension], leaf: Dimension, parameter: Tensor, one: Contraction
) -> list[Tensor] | None:
    """Return for each block the unit of the group that each column reads; None if columns read no single units."""
    for axis, dimension in enumerate(dimensions):
        if leaf not in leaves(dimension):
            continue
        units = units_along(dimension, leaf)
        if units is None:
            continue
        shape = [1] * parameter.dim()
        shape[axis] = -1
        labels = units.to(torch.int32).to(parameter.device).view(shape).expand(parameter.shape)
        columns = columns_of(labels, parameter, one)
        if columns is not None and any(bool((part >= 0).any()) for part in columns) and _even(columns):
            return [part.cpu() for part in columns]
    return None


def _made(
    name: str, dimensions: Sequence[Dimension], leaf: Dimension, parameter: Tensor, one: Contraction
) -> Coupled | None:
    """Return where a weight makes the units of a group; None if its outputs are no single units.

    Where one weight makes queries, keys and perhaps values, only the first of them count: what a unit adds to the
    network's output goes through all.
    """
    for axis, dimension in enumerate(dimensions):
        units = units_along(dimension, leaf) if leaf in leaves(dimension) else None
        if units is None:
            continue
        head = factors(dimension)[0]
        several = head.size if head.fixed and leaf not in leaves(head) else 0
        units = _first_of(units, several or sum(leaf in leaves(term) for term in terms(dimension)))
        shape = [1] * parameter.dim()
        shape[axis] = -1
        labels = units.to(torch.int32).to(parameter.device).view(shape).expand(parameter.shape)
        outputs = outputs_of(labels, parameter, one)
        if outputs is not None and any(bool((part >= 0).any()) for part in outputs):
            return Coupled(name, [part.cpu() for part in outputs], axis, units)
    return None


def _first_of(labels: Tensor, parts: int) -> Tensor:
    """Return labels with all but the first of so many equal parts of each label's places set to -1."""
    places = (labels >= 0).nonzero()[:, 0]
    new = torch.full_like(labels, -1)
    first = places[: len(places) // max(1, parts)]
    new[first] = labels[first]
    return new


def _even(columns: Sequence[Tensor]) -> bool:
    """Return whether each unit that a block reads has as many columns there as any other."""
    counts = [part[part >= 0].unique(return_counts=True)[1] for part in columns]
    return all(len(set(one.tolist())) <= 1 for one in counts)


def _why_fixed(group: Group, shared: Sequence[str]) -> str:
    if tied := sorted({*group.makers, *group.readers, *group.riders} & {*shared}):
        return f"{tied[0]} shares its memory with another parameter (tied weights)"
    if group.fixed:
        return f"its units are fixed: {group.fixed}"
    if both := [name for name in group.readers if name in group.riders]:
        return f"{both[0]} reads its units and scales them"
    if group.size < 2:
        return "it has one unit"
    if group.readers or _coupling(group):
        return ""
    return f"its units are {mixing}" if (mixing := _mixing(group)) else "no layer reads its units"


def _mixing(group: Group) -> str:
    return next((mark for mark in sorted(group.marks) if mark.startswith("reduced over")), "")


def _coupling(group: Group) -> bool:
    return any(mark.startswith("coupled") for mark in group.marks)


def _why_left(layer: Any, why: Mapping[Group, str]) -> str:
    return why_left(layer, why) if all(why[group] for group in layer.group) else ""
