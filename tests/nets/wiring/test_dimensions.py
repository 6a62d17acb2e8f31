"""The algebra of dimensions against real indexing: cut before or after the operations, the entries are the same."""

import math
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cofire.nets.wiring.dimensions import (
    Dimension,
    agree,
    fix,
    kept,
    leaves,
    mark,
    piece,
    product,
    reshape,
    root,
    terms,
    total,
    unite,
)


@dataclass
class Program:
    """Random operations on tensors of labels, and how each is done again once leaves are cut."""

    draw: st.DrawFn
    values: list[torch.Tensor] = field(default_factory=list)
    dimensions: list[list[Dimension]] = field(default_factory=list)
    steps: list = field(default_factory=list)

    def add(self, value, dimensions, again):
        assert [one.size for one in dimensions] == list(value.shape)
        self.values.append(value)
        self.dimensions.append(dimensions)
        self.steps.append(again)

    def source(self, sizes):
        n = math.prod(sizes)
        value = torch.arange(n).reshape(sizes) + 1_000_003 * len(self.values)
        dimensions = [Dimension(size) if size > 1 else product([]) for size in sizes]
        self.add(value, dimensions, lambda cut, done: selected(value, dimensions, cut))

    def any(self):
        return self.draw(st.integers(0, len(self.values) - 1))

    def view(self):
        at = self.any()
        shape = regrouped(self.draw, list(self.values[at].shape))
        dimensions = reshape(self.dimensions[at], shape)
        self.add(
            self.values[at].reshape(shape),
            dimensions,
            lambda cut, done: done[at].reshape([len(kept(one, cut)) for one in dimensions]),
        )

    def permute(self):
        at = self.any()
        order = self.draw(st.permutations(range(self.values[at].dim())))
        dimensions = [self.dimensions[at][axis] for axis in order]
        self.add(self.values[at].permute(order), dimensions, lambda cut, done: done[at].permute(order))

    def cut(self):
        at = self.any()
        axis = self.draw(st.integers(0, self.values[at].dim() - 1))
        size = self.values[at].shape[axis]
        start = self.draw(st.integers(0, size - 1))
        stop = self.draw(st.integers(start + 1, size))
        dimensions = list(self.dimensions[at])
        whole, dimensions[axis] = dimensions[axis], piece(dimensions[axis], start, stop)

        def again(cut, done):
            left = kept(whole, cut)
            inside = ((left >= start) & (left < stop)).nonzero()[:, 0]
            return done[at].index_select(axis, inside)

        self.add(self.values[at].narrow(axis, start, stop - start), dimensions, again)

    def cat(self):
        at = self.any()
        axis = self.draw(st.integers(0, self.values[at].dim() - 1))
        like = [other for other in range(len(self.values)) if fits(self.values[at], self.values[other], axis)]
        other = self.draw(st.sampled_from(like))
        for k, (a, b) in enumerate(zip(self.dimensions[at], self.dimensions[other], strict=True)):
            if k != axis:
                unite(a, b)
        dimensions = list(self.dimensions[at])
        dimensions[axis] = total([self.dimensions[at][axis], self.dimensions[other][axis]])
        self.add(
            torch.cat([self.values[at], self.values[other]], axis),
            dimensions,
            lambda cut, done: torch.cat([done[at], done[other]], axis),
        )

    def shuffle(self):
        """Split an axis, swap the two parts and join them again, as channels are shuffled between groups."""
        at = self.any()
        value, axis = self.values[at], self.draw(st.integers(0, self.values[at].dim() - 1))
        size, shape = value.shape[axis], list(value.shape)
        outer = self.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
        split = [*shape[:axis], outer, size // outer, *shape[axis + 1 :]]
        parts = reshape(self.dimensions[at], split)
        parts[axis], parts[axis + 1] = parts[axis + 1], parts[axis]
        dimensions = reshape(parts, shape)

        def again(cut, done):
            sizes = [len(kept(one, cut)) for one in parts]
            sizes[axis], sizes[axis + 1] = sizes[axis + 1], sizes[axis]
            mixed = done[at].reshape(sizes).transpose(axis, axis + 1)
            return mixed.reshape([len(kept(one, cut)) for one in dimensions])

        self.add(value.reshape(split).transpose(axis, axis + 1).reshape(shape), dimensions, again)

    def gates(self):
        """Split an axis into equal parts and add them up: the parts share their units from then on."""
        at = self.any()
        value, axis = self.values[at], self.draw(st.integers(0, self.values[at].dim() - 1))
        size = value.shape[axis]
        n = self.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
        whole = self.dimensions[at][axis]
        parts = [piece(whole, start, start + size // n) for start in range(0, size, size // n)]
        for one in parts[1:]:
            unite(parts[0], one)
        dimensions = [*self.dimensions[at][:axis], parts[0], *self.dimensions[at][axis + 1 :]]
        self.add(
            sum(value.chunk(n, axis)),
            dimensions,
            lambda cut, done: sum(done[at].split([len(kept(one, cut)) for one in parts], axis)),
        )

    def insert(self):
        """Insert an axis of size 1, which has no factor."""
        at = self.any()
        axis = self.draw(st.integers(0, self.values[at].dim()))
        dimensions = [*self.dimensions[at][:axis], product([]), *self.dimensions[at][axis:]]
        self.add(self.values[at].unsqueeze(axis), dimensions, lambda cut, done: done[at].unsqueeze(axis))

    def add_up(self):
        at = self.any()
        same = [other for other in range(len(self.values)) if self.values[other].shape == self.values[at].shape]
        other = self.draw(st.sampled_from(same))
        for a, b in zip(self.dimensions[at], self.dimensions[other], strict=True):
            unite(a, b)
        self.add(
            self.values[at] + 7 * self.values[other], self.dimensions[at], lambda cut, done: done[at] + 7 * done[other]
        )

    def tie(self):
        """Tie any two axes of the same size, as one weight that is used twice ties its axes to those of two tensors."""
        at, other = self.any(), self.any()
        pairs = [
            (a, b)
            for a in self.dimensions[at]
            for b in [one for found in (self.dimensions[other], *self.dimensions) for one in found]
            if a.size == b.size
        ]
        unite(*self.draw(st.sampled_from(pairs)))
        self.add(self.values[at], self.dimensions[at], lambda cut, done: done[at])


def selected(value, dimensions, cut):
    for axis, dimension in enumerate(dimensions):
        value = value.index_select(axis, kept(dimension, cut))
    return value


def fits(a, b, axis):
    return a.dim() == b.dim() and all(
        x == y for k, (x, y) in enumerate(zip(a.shape, b.shape, strict=True)) if k != axis
    )


def regrouped(draw, shape):
    """Another shape with as many entries: neighbors joined, or one split by a divisor."""
    at = draw(st.integers(0, len(shape) - 1))
    if draw(st.booleans()) and at + 1 < len(shape):
        return [*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]]
    divisors = [n for n in range(1, shape[at] + 1) if shape[at] % n == 0]
    outer = draw(st.sampled_from(divisors))
    return [*shape[:at], outer, shape[at] // outer, *shape[at + 1 :]]


STEPS = ["view", "permute", "cut", "cat", "add_up", "shuffle", "gates", "insert", "tie"]


@st.composite
def programs(draw):
    program = Program(draw)
    for _ in range(draw(st.integers(1, 3))):
        program.source(draw(st.lists(st.sampled_from([1, 2, 3, 4, 6, 12]), min_size=1, max_size=3)))
    names = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=9))
    for name in names:
        getattr(program, name)()
    return program


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs(), st.randoms(use_true_random=False))
def test_cutting_leaves_commutes_with_every_operation(program, random):
    every = [leaf for dimensions in program.dimensions for one in dimensions for leaf in leaves(one)]
    free = dict.fromkeys(leaf for leaf in every if not leaf.fixed)
    cuts = {
        leaf: torch.tensor(random.sample(range(leaf.size), random.randint(1, leaf.size)))  # in any order
        for leaf in free
        if random.random() < 0.7
    }
    done = []
    for again in program.steps:
        done.append(again(cuts, done))
    for value, dimensions, found in zip(program.values, program.dimensions, done, strict=True):
        assert torch.equal(found, selected(value, dimensions, cuts))


def test_a_view_leaves_axes_alone_that_it_does_not_regroup():
    batch, rows, columns, units = Dimension(5), Dimension(2), Dimension(3), Dimension(8)
    grid = reshape([batch, rows, columns, units], (5, 3, 2, 2, 4))
    assert [bool(one.fixed) for one in (*leaves(batch), *leaves(rows), *leaves(units))] == [False, True, False, False]
    assert grid[1].fixed and not grid[3].fixed and list(leaves(units)) == [root(grid[3]), root(grid[4])]


def test_a_shuffle_of_channels_keeps_every_channel_free():
    channels = Dimension(12)
    groups, rest = reshape([channels], (3, 4))
    (shuffled,) = reshape([rest, groups], (12,))
    assert not any(leaf.fixed for leaf in leaves(shuffled))
    assert agree(shuffled, product([rest, groups])) and not agree(shuffled, channels)


def test_indices_agree_however_they_are_written():
    a, b, c = Dimension(2), Dimension(3), Dimension(4)
    assert agree(product([total([a, b]), c]), total([product([a, c]), product([b, c])]))
    assert not agree(total([a, b]), total([b, a])) and not agree(product([a, b]), total([a, b]))
    gates = Dimension(3)
    assert not agree(gates, total([gates, gates]))


def test_an_empty_view_has_no_factors():
    assert [repr(one) for one in reshape([Dimension(0), Dimension(4)], (0, 2, 1))] == ["0!", "2!", "1"]


def test_heads_and_their_size():
    units = Dimension(12)
    batch, heads, size = reshape([Dimension(5), units], (5, 4, 3))
    assert [one.size for one in (batch, heads, size)] == [5, 4, 3] and list(leaves(units)) == [heads, size]
    joined = reshape([batch, heads, size], (5, 12))[1]
    other = Dimension(12)
    unite(other, joined)
    assert list(leaves(other)) == [root(heads), root(size)]


def test_fused_queries_keys_and_values():
    fused = Dimension(12)
    q, k, v = (piece(fused, start, start + 4) for start in (0, 4, 8))
    heads = [reshape([part], (2, 2)) for part in (q, k, v)]
    assert repr(fused) == "((2 * 2) + ((2 * 2) + (2 * 2)))"
    unite(heads[0][0], heads[1][0])
    unite(heads[0][1], heads[1][1])
    assert len(set(leaves(fused))) == 4


def test_a_sum_of_heads_is_a_product_with_their_size():
    mixed = total([Dimension(6), Dimension(2)])
    heads, size = reshape([mixed], (4, 2))
    assert repr(heads) == "(3 + 1)" and repr(size) == "2"
    first, second = terms(mixed)
    assert repr(first) == "(3 * 2)" and repr(second) == "2"


def test_parts_that_share_a_leaf_are_cut_alike():
    leaf = Dimension(4)
    twice = total([leaf, leaf])
    unite(twice, total([Dimension(1), Dimension(7)]))
    assert repr(leaf) == "(1 + 3)" and len(set(leaves(twice))) == 2


def test_six_as_two_by_three_and_three_by_two_is_fixed():
    a, b = product([Dimension(2), Dimension(3)]), product([Dimension(3), Dimension(2)])
    unite(a, b)
    assert all("two ways" in leaf.fixed for one in (a, b) for leaf in leaves(one))


def test_half_of_each_head_is_fixed():
    units = product([Dimension(4), Dimension(3)])
    half = piece(units, 0, 5)
    assert half.fixed and half.size == 5 and all(leaf.fixed for leaf in leaves(units))


def test_reasons_and_marks_pass_on():
    leaf, other = Dimension(6), Dimension(6)
    fix(leaf, "model output")
    mark(leaf, "normalized over")
    unite(leaf, other)
    parts = reshape([other], (2, 3))
    assert all(part.fixed == "model output" and part.marks == {"normalized over"} for part in parts)
    fix(other, "too late")
    assert all(part.fixed == "model output" for part in parts)


def test_size_one_has_no_leaf():
    one = product([])
    assert one.size == 1 and not list(leaves(one)) and kept(one, {}).tolist() == [0]
    unite(one, product([]))
    assert [dimension.size for dimension in reshape([Dimension(4), one], (1, 4, 1))] == [1, 4, 1]


def test_nothing_is_made_of_itself():
    rows, units = Dimension(5), Dimension(4)
    last = piece(rows, 4, 5)
    (joined,) = reshape([last, units], (4,))
    assert joined is units and repr(reshape([units, last], (4,))) == "[4]"
    unite(units, joined)
    unite(units, product([Dimension(1), units, last]))
    unite(last, product([]))
    assert list(leaves(units)) == [units] and list(leaves(last)) == [last]
    nothing = Dimension(0)
    unite(nothing, product([nothing, units]))
    assert list(leaves(nothing)) == [nothing]


def test_different_sizes_are_an_error():
    with pytest.raises(ValueError, match="different sizes can't be the same: 2 and 3"):
        unite(Dimension(2), Dimension(3))
