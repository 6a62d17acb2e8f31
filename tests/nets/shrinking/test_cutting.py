"""Cuts are tried before they are made: either the smaller network computes the same things, or it is not cut so."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.loading.batches import arguments
from cofire.nets.shrinking import shrink
from cofire.nets.shrinking.cutting import (
    Conflict,
    alive_entries,
    attribute_values,
    cut_out,
    cuttable,
    kept_columns,
    kind_of,
    tried,
)
from cofire.nets.shrinking.free_groups import Free, Structure, structure
from cofire.nets.wiring.code_sizes import Attribute
from cofire.nets.wiring.dimensions import Dimension, product, root, total


class Attention(nn.Module):
    """Self-attention; how it splits and joins heads is the code's."""

    def __init__(self, view: Callable[[Any, Tensor, Tensor], Tensor], **numbers: Any) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 12)
        self.q, self.k, self.v, self.out = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 5)
        self.view = view
        for name, value in numbers.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.inner(x))
        q, k, v = (self.view(self, x, layer(h)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v, scale=0.5)
        return self.out(mixed.transpose(1, 2).reshape(*x.shape[:2], -1))


def known(model: nn.Module, x: Tensor) -> tuple[Structure, list[Free], dict[str, str]]:
    found = structure(model.eval(), x)
    good, bad = cuttable(model, found, arguments(model, x))
    return found, [one for tied in good for one in tied], bad


X = torch.randn(60, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
FOLLOWED: dict[str, tuple[Callable[[Any, Tensor, Tensor], Tensor], dict[str, Any]]] = {
    "numbers": (lambda m, x, h: h.view(*x.shape[:2], m.num_heads, m.head_dim), {"num_heads": 3, "head_dim": 4}),
    "a tuple": (lambda m, x, h: h.view(*x.shape[:2], *m.sizes), {"sizes": (3, 4)}),
    "any number of tokens": (lambda m, x, h: h.view(len(x), -1, m.num_heads, 4), {"num_heads": 3}),
    "any number of heads": (lambda m, x, h: h.view(*x.shape[:2], -1, m.head_dim), {"head_dim": 4}),
    "from the tensor": (lambda m, x, h: h.view(*x.shape[:2], h.shape[-1] // 4, 4), {}),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_head_that_nothing_reads_is_cut_without_a_trace(name):
    view, numbers = FOLLOWED[name]
    torch.manual_seed(1)
    model = Attention(view, **numbers).double().eval()
    with torch.no_grad():
        model.out.weight[:, 4:8] = 0.0
    found = shrink(model, X, keep={"q[0]": 2})
    assert found.cuts["q[0]"].kept == (0, 2)
    assert found.measured < 1e-6
    fresh = torch.randn(3, 8, 6, dtype=torch.float64)
    torch.testing.assert_close(found.model(fresh), model(fresh), rtol=0, atol=1e-6)
    assert found.model.q.weight.shape == (8, 12) and found.model.out.weight.shape == (5, 8)
    if "num_heads" in numbers:
        assert (found.model.num_heads, model.num_heads) == (2, 3)
    if "sizes" in numbers:
        assert (found.model.sizes, model.sizes) == ((2, 4), (3, 4))


FIXED: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "raises": lambda m, x, h: h.view(*x.shape[:2], 3, 4),
    "takes tokens for heads": lambda m, x, h: h.view(len(x), -1, 3, 4),
    "takes samples for heads": lambda m, x, h: h.view(-1, x.shape[1], 3, 4),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_size_that_the_code_writes_out_is_named_and_the_rest_is_cut(name):
    model = Attention(FIXED[name]).double()
    found = shrink(model, X, keep={"inner": 6})
    assert found.cuts.keys() == {"inner"} and found.measured < 1
    for group in ("q[0]", "v[1]"):
        assert found.left[group].startswith("the code fixes its size: with fewer units, the network ")
    with pytest.raises(ValueError, match=r"can't be cut: the code fixes its size"):
        shrink(model, X, keep={"q[0]": 2})


def test_numbers_that_count_two_dimensions_conflict():
    model = Attention(FOLLOWED["numbers"][0], num_heads=3, head_dim=4).double()
    found = structure(model.eval(), X[:4])
    good, bad = cuttable(model, found, arguments(model, X[:4]))
    assert {"q[1]", "v[1]"} in [{one.name for one in tied} for tied in good] and not bad  # cut together, they agree
    value = found.groups["v[1]"]
    with pytest.raises(Conflict, match="head_dim counts dimensions that would no longer be equal"):
        cut_out(model, found, {value.leaf: torch.arange(3)})
    assert model.v.weight.shape == (12, 12) and model.head_dim == 4


def test_a_number_follows_its_dimensions():
    a, b, c = Dimension(4), Dimension(4), Dimension(3)
    heads = product([c, a])
    attributes = {
        Attribute("x", "size"): (a,),
        Attribute("x", "width", 1): (heads, heads),
        Attribute("y", "both"): (a, b),
        Attribute("y", "other"): (c,),
    }
    assert attribute_values(attributes, {root(a): 2, root(b): 2}) == {
        Attribute("x", "size"): 2,
        Attribute("x", "width", 1): 6,
        Attribute("y", "both"): 2,
    }
    with pytest.raises(Conflict, match=r"y\.both"):
        attribute_values(attributes, {root(a): 2})


def test_a_network_that_was_tried_is_as_before():
    model = Attention(FOLLOWED["a tuple"][0], sizes=(3, 4)).double()
    tensors, state = dict(model.named_parameters()), {name: one.clone() for name, one in model.state_dict().items()}
    found = structure(model.eval(), X[:4])
    text = repr(model)
    for group in found.groups.values():
        tried(model, found, {group.leaf: torch.arange(group.n_units - 1)}, arguments(model, X[:4]))
    assert repr(model) == text and model.sizes == (3, 4)
    assert all(one is tensors[name] for name, one in model.named_parameters())
    assert all(torch.equal(one, state[name]) for name, one in model.state_dict().items())


def test_one_size_that_the_code_fixes_leaves_all_others_to_be_cut():
    class Layer(nn.Module):
        def __init__(self, *, fixed: bool) -> None:
            super().__init__()
            self.up, self.down, self.fixed = nn.Linear(6, 8), nn.Linear(8, 6), fixed

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.up(x))
            return x + self.down(h.view(-1, 8) if self.fixed else h)

    model = nn.Sequential(*(Layer(fixed=k in (1, 2)) for k in range(5)), nn.Linear(6, 2))
    _, good, bad = known(model, torch.randn(4, 6))
    assert {one.name for one in good} == {"0.up", "3.up", "4.up"}
    assert set(bad) == {"1.up", "2.up"}


def test_layers_of_a_kind_differ_in_numbers_only():
    assert kind_of("layer.1.mlp.fc1") == kind_of("layer.11.mlp.fc1") != kind_of("layer.1.mlp.out")


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.data())
def test_entries_that_stay_are_those_of_units_that_stay(n_units, inner, beside, data):
    leaf, more = Dimension(n_units), Dimension(2)
    keep = torch.tensor(sorted(data.draw(st.sets(st.integers(0, n_units - 1), min_size=1))))
    columns = total([product([leaf, Dimension(inner)]), Dimension(beside)])
    alive = alive_entries((more, columns), {leaf: keep}, torch.Size((2, columns.size)))
    expected = torch.zeros(columns.size, dtype=torch.bool)
    for unit in keep.tolist():
        expected[unit * inner : (unit + 1) * inner] = True
    expected[n_units * inner :] = True
    assert torch.equal(alive, expected.expand(2, -1))
    labels = torch.cat([torch.arange(n_units).repeat_interleave(inner), torch.full((beside,), -1)])
    assert torch.equal(kept_columns({leaf: [labels]}, {leaf: keep}, 0, len(labels)), expected)
