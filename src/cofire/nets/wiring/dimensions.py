"""The algebra of dimensions: a dimension of a tensor is a leaf, a product or a sum of others.

A view turns ``heads * size`` into a *product* of two dimensions, and a cat makes a *sum*. Following a model, dimensions
that must agree are united (union-find), and a leaf turns into a product or a sum once an operation looks inside it.
What is left are leaves: the smallest sets of indices that can only be cut together.

The empty product is the dimension of size 1. It has no leaves, so there is nothing in it to unite or to cut, which is
what broadcasting needs. No product has a factor of size 1, and no sum a term of size 0: each part is smaller than the
whole, so that no dimension can be united with one that it is part of.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor


class Dimension:
    """A node of the union-find forest; two dimensions are the same if their `root` is.

    Attributes:
        size: number of indices.
        kind: a leaf has no parts; the index of a product runs over its parts with the last one fastest, as in a
            contiguous view; the index of a sum runs through its parts one after the other, as in a cat.
        parts: what it is made of.
        fixed: why its leaves must not be cut; empty if they may.
        marks: what is known of a leaf, such as "normalized over".
    """

    __slots__ = ("_into", "fixed", "kind", "marks", "parts", "size")

    def __init__(self, size: int, *, fixed: str = "") -> None:
        self.size = size
        self.kind: Literal["leaf", "product", "sum"] = "leaf"
        self.parts: tuple[Dimension, ...] = ()
        self.fixed = fixed
        self.marks: set[str] = set()
        self._into: Dimension | None = None

    def __repr__(self) -> str:
        node = root(self)
        if node.kind == "leaf":
            return f"{node.size}{'!' if node.fixed else ''}"
        return f"({(' * ' if node.kind == 'product' else ' + ').join(map(repr, node.parts))})" if node.parts else "1"


def root(dimension: Dimension) -> Dimension:
    """Return the node that stands for everything that was united with a dimension."""
    node = dimension
    while node._into is not None:
        node = node._into
    while dimension._into is not None:  # path compression: later look-ups take one step
        dimension._into, dimension = node, dimension._into
    return node


def product(parts: Iterable[Dimension]) -> Dimension:
    """Return the dimension whose index runs over those of its parts, the last one fastest; those of size 1 fall out."""
    return _made("product", [factor for part in parts for factor in factors(part) if factor.size != 1])


def total(parts: Iterable[Dimension]) -> Dimension:
    """Return the dimension of its parts one after the other; parts without an index fall out."""
    return _made("sum", [root(part) for part in parts if part.size])


def _made(kind: Literal["product", "sum"], parts: Sequence[Dimension]) -> Dimension:
    if len(parts) == 1:
        return parts[0]
    made = Dimension(math.prod(part.size for part in parts) if kind == "product" else sum(part.size for part in parts))
    made.kind, made.parts = kind, tuple(parts)
    return made


def leaves(dimension: Dimension) -> Iterator[Dimension]:
    """Yield the leaves in the order of their first index; a leaf that stands several times comes as often."""
    node = root(dimension)
    if node.kind == "leaf":
        yield node
    for part in node.parts:
        yield from leaves(part)


def factors(dimension: Dimension) -> list[Dimension]:
    """Return the dimension as a product: its factors that are no products themselves."""
    node = root(dimension)
    return [factor for part in node.parts for factor in factors(part)] if node.kind == "product" else [node]


def terms(dimension: Dimension) -> list[Dimension]:
    """Return the dimension as a sum: its terms that are no sums themselves, (a + b) * c as a * c and b * c."""
    node = root(dimension)
    if node.kind == "sum":
        return [term for part in node.parts for term in terms(part)]
    if node.kind == "product" and node.parts:
        first, *rest = factors(node)
        if first.kind == "sum":
            return [product([term, *rest]) for term in terms(first)]
    return [node]


def agree(a: Dimension, b: Dimension) -> bool:
    """Return whether two dimensions are made of the same leaves in the same order, so that their indices agree."""
    return [list(leaves(term)) for term in terms(a)] == [list(leaves(term)) for term in terms(b)]


def fix(dimension: Dimension, reason: str) -> None:
    """Say why none of the leaves of a dimension may be cut; the first reason stays."""
    for leaf in leaves(dimension):
        leaf.fixed = leaf.fixed or reason


def mark(dimension: Dimension, text: str) -> None:
    """Mark all leaves of a dimension."""
    for leaf in leaves(dimension):
        leaf.marks.add(text)


def unite(a: Dimension, b: Dimension) -> None:
    """Make two dimensions the same, index by index.

    Where their structures differ they are refined until they agree. Where that is impossible (6 as 2 * 3 and as 3 * 2),
    both are fixed: any index may then be tied to any other.

    Raises:
        ValueError: if their sizes differ.
    """
    a, b = root(a), root(b)
    if a.size != b.size:
        raise ValueError(f"dimensions of different sizes can't be the same: {a.size} and {b.size}")
    if a is b or (a.size < 2 and not a.kind == b.kind == "leaf"):  # one without indices or choice ties nothing
        return
    if "leaf" in (a.kind, b.kind):
        leaf, other = (a, b) if a.kind == "leaf" else (b, a)
        leaf._into = other
        _inherit(leaf, [other])
    elif not (_unite_terms(a, b) if "sum" in (a.kind, b.kind) else _unite_factors(a, b)):
        for one in (a, b):
            fix(one, "its indices are grouped in two ways that don't fit together")


def _unite_factors(a: Dimension, b: Dimension) -> bool:
    """Unite two products factor by factor, splitting the larger of two factors that meet."""
    mine, theirs = factors(a), factors(b)
    while mine and theirs:
        mine[:1], theirs[:1] = factors(mine[0]), factors(theirs[0])  # earlier steps may have refined them
        size = min(mine[0].size, theirs[0].size)
        for some in (mine, theirs):
            if some[0].size > size:
                if not _split(some[0], size):
                    return False
                some[:1] = factors(some[0])
        unite(mine.pop(0), theirs.pop(0))
    return not (mine or theirs)


def _unite_terms(a: Dimension, b: Dimension) -> bool:
    """Unite two dimensions term by term, cutting both at the borders of either."""
    borders: set[int] = set()
    while (found := _borders(a) | _borders(b)) != borders:  # a cut can add borders elsewhere: parts may share leaves
        borders = found
        if not (_cut(a, borders) and _cut(b, borders)):
            return False
    for mine, theirs in zip(terms(a), terms(b), strict=True):
        unite(mine, theirs)
    return True


def _borders(dimension: Dimension) -> set[int]:
    ends, end = set(), 0
    for term in terms(dimension):
        end += term.size
        ends.add(end)
    return ends


def _become(node: Dimension, kind: Literal["product", "sum"], parts: Sequence[Dimension]) -> None:
    _inherit(node, parts)
    node.kind, node.parts = kind, tuple(parts)


def _inherit(node: Dimension, heirs: Iterable[Dimension]) -> None:
    for heir in heirs:
        for leaf in leaves(heir):
            leaf.fixed, leaf.marks = leaf.fixed or node.fixed, leaf.marks | node.marks


def _split(dimension: Dimension, outer: int) -> bool:
    """Refine a leaf or a sum into a product whose first factors have size ``outer``; return whether it is possible."""
    node = root(dimension)
    if node.size % outer:
        return False
    inner = node.size // outer
    if node.kind == "leaf":
        _become(node, "product", [Dimension(outer), Dimension(inner)])
        return True
    return node.kind == "sum" and _split_sum(node, inner)


def _split_sum(node: Dimension, inner: int) -> bool:
    """Turn a * c + b * c into (a + b) * c, with c of size ``inner``."""
    heads, common = [], Dimension(inner)
    for term in terms(node):
        if term.size % inner:
            return False
        head = Dimension(term.size // inner)
        unite(term, product([head, common] if head.size > 1 else [common]))
        heads.append(head if head.size > 1 else product([]))
    node.kind, node.parts = "product", (total(heads), common)
    return True


def _cut(dimension: Dimension, borders: Iterable[int]) -> bool:
    """Refine a dimension so that its terms end at all borders; return whether it is possible."""
    node = root(dimension)
    inside = sorted({border for border in borders if 0 < border < node.size})
    if not inside:
        return True
    if node.kind == "leaf":
        ends = [0, *inside, node.size]
        _become(node, "sum", [Dimension(end - start) for start, end in pairwise(ends)])
        return True
    if node.kind == "sum":
        start, possible = 0, True
        for part in node.parts:
            possible &= _cut(part, [border - start for border in inside])
            start += part.size
        return possible
    first = factors(node)[0]
    tail = node.size // first.size
    return not any(border % tail for border in inside) and _cut(first, [border // tail for border in inside])


def piece(dimension: Dimension, start: int, stop: int) -> Dimension:
    """Return the part from index ``start`` to ``stop``, as a slice, split or crop takes it.

    A piece that cuts through a factor, such as half of each head, fixes the dimension and is fixed itself.
    """
    if (start, stop) == (0, dimension.size):
        return root(dimension)
    if not _cut(dimension, [start, stop]):
        reason = "a slice takes parts of several groups of indices"
        fix(dimension, reason)
        return Dimension(stop - start, fixed=reason)
    inside, end = [], 0
    for term in terms(dimension):
        end += term.size
        if start < end <= stop:
            inside.append(term)
    return total(inside)


def reshape(dimensions: Sequence[Dimension], shape: Sequence[int]) -> list[Dimension]:
    """Return the dimensions that a view of the given shape has.

    A view that regroups indices across factors (6 as 2 * 3 to 3 * 2) fixes those, and its own are fixed.
    """
    if 0 in shape:
        return [Dimension(size, fixed="an empty tensor") if size != 1 else product([]) for size in shape]
    return [made for old, new in _runs(dimensions, shape) for made in _reshaped(old, new)]


def _runs(dimensions: Sequence[Dimension], shape: Sequence[int]) -> Iterator[tuple[list[Dimension], list[int]]]:
    """Yield the shortest runs of dimensions with the run of the shape that has as many indices."""
    old: list[Dimension] = []
    new: list[int] = []
    waiting = list(dimensions)
    for at, size in enumerate(shape):
        new.append(size)
        want = math.prod(new)
        while waiting and math.prod(one.size for one in old) < want:
            old.append(waiting.pop(0))
        if math.prod(one.size for one in old) == want and at + 1 < len(shape):
            yield old, new
            old, new = [], []
    yield [*old, *waiting], new


def _reshaped(dimensions: Sequence[Dimension], shape: Sequence[int]) -> list[Dimension]:
    waiting = [factor for dimension in dimensions for factor in factors(dimension) if factor.size != 1]
    made = []
    for size in shape:
        taken = _taken(waiting, size)
        if taken is None:
            return _regrouped(dimensions, shape)
        made.append(product(taken))
    return made if not waiting else _regrouped(dimensions, shape)


def _taken(waiting: list[Dimension], size: int) -> list[Dimension] | None:
    """Take factors of the given size off the front, splitting the last one where need be; None if it is impossible."""
    taken, have = [], 1
    while have < size:
        if not waiting:
            return None
        waiting[:1] = factors(waiting[0])
        want = size // have if size % have == 0 else 0
        if want and waiting[0].size > want:
            if not _split(waiting[0], want):
                return None
            continue
        if not want or want % waiting[0].size:
            return None
        taken.append(waiting.pop(0))
        have *= taken[-1].size
    return taken


def _regrouped(dimensions: Sequence[Dimension], shape: Sequence[int]) -> list[Dimension]:
    reason = "a view regroups its indices"
    for dimension in dimensions:
        fix(dimension, reason)
    return [Dimension(size, fixed=reason) if size != 1 else product([]) for size in shape]


def kept(dimension: Dimension, cuts: Mapping[Dimension, Tensor]) -> Tensor:
    """Return the indices of a dimension that stay if its leaves are cut.

    Args:
        dimension: any.
        cuts: for the root of each leaf that is cut, the indices that stay, ascending, int64.

    Returns:
        Int64, ascending.

    Example:
        >>> heads, size = Dimension(3), Dimension(2)
        >>> kept(product([heads, size]), {heads: torch.tensor([0, 2])})
        tensor([0, 1, 4, 5])
    """
    node = root(dimension)
    if node.kind == "leaf":
        return cuts[node] if node in cuts else torch.arange(node.size)
    if node.kind == "sum":
        starts = torch.tensor([0, *(part.size for part in node.parts)]).cumsum(0)
        return torch.cat([kept(part, cuts) + start for part, start in zip(node.parts, starts, strict=False)])
    indices = torch.zeros(1, dtype=torch.int64)
    for part in node.parts:
        indices = (indices[:, None] * part.size + kept(part, cuts)).flatten()
    return indices


def size_after(dimension: Dimension, sizes: Mapping[Dimension, int]) -> int:
    """Return how large a dimension is once its leaves have the given sizes; others stay as they are.

    Example:
        >>> heads, size = Dimension(4), Dimension(16)
        >>> size_after(total([product([heads, size])] * 3), {heads: 3})
        144
    """
    node = root(dimension)
    if node.kind == "leaf":
        return sizes.get(node, node.size)
    parts = [size_after(part, sizes) for part in node.parts]
    return sum(parts) if node.kind == "sum" else math.prod(parts)
