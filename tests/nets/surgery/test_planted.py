"""A unit that copies another in all that makes it can go without a trace, however the units are read."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.surgery import fold, output_error, prune
from cofire.nets.surgery.cut_groups import named_tensors
from cofire.nets.surgery.cuts import admitted
from cofire.nets.surgery.groups import Links
from cofire.nets.surgery.tensor_axes import places
from cofire.nets.surgery.verify import CODE_FIXES

from .architectures import ARCHITECTURES, Attention, Pitch, varied


@torch.no_grad()
def plant(model: nn.Module, found: Links) -> None:
    """Make unit 1 of each group a copy of unit 0 in all tensors but those that read it."""
    for link in found.found.values():
        for name, tensor in named_tensors(model).items():
            for axis, dimension in enumerate(found.dimensions[name]):
                where = places(dimension, link.leaf)
                if where is not None and len(where) and name not in link.readings:
                    tensor.index_copy_(axis, where[:, 1], tensor.index_select(axis, where[:, 0]))


def planted(name: str) -> tuple[nn.Module, Tensor, Links]:
    make, shape, _ = ARCHITECTURES[name]
    torch.manual_seed(2)
    model, x = varied(make()), torch.randn(shape, dtype=torch.float64)
    found = admitted(model, x, "*").links
    plant(model, found)
    return model, x, found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_copies_planted_in_every_group_are_folded_without_a_trace(name):
    model, x, found = planted(name)
    before = deepcopy(model.state_dict())
    smaller = fold(model, x)
    free = [key for key in found.found if smaller.left.get(key) != CODE_FIXES]
    assert len(free) == ARCHITECTURES[name][2]
    for key in free:
        assert 1 in smaller.cuts[key].removed or 0 in smaller.cuts[key].removed
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-8)
    fresh = torch.randn_like(x)
    torch.testing.assert_close(smaller.model(fresh), model(fresh), rtol=0, atol=1e-8)
    assert all(torch.equal(value, before[one]) for one, value in model.state_dict().items())


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("by", ["magnitude", "redundancy"])
def test_pruned_networks_move_by_what_is_predicted(name, by):
    model, x, _ = planted(name)
    smaller = prune(model, x, keep=0.7, by=by)
    assert smaller.n_removed >= ARCHITECTURES[name][2]
    measured = output_error(model, smaller.model, x)
    if smaller.predicted is not None:
        assert 0.2 * measured.rms - 1e-8 < smaller.predicted.rms < 5 * measured.rms + 1e-8
    smaller.model(x).sum().backward()


def test_a_size_in_the_code_is_found_and_the_rest_is_cut():
    smaller = prune(varied(Pitch(24)), torch.randn(30, 16, dtype=torch.float64), keep=0.5)
    assert smaller.left["conv2"] == CODE_FIXES
    assert set(smaller.cuts) == {"conv1"}


def test_tokens_that_fall_into_other_places_are_noticed():
    """With four heads of three written out, the batch takes up what a cut head leaves: it runs, with other outputs."""

    class Runs(Attention):
        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.inner(x))
            q, k, v = (f(h).view(len(x), -1, 3, 4).transpose(1, 2) for f in (self.q, self.k, self.v))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, scale=0.5)
            return self.out(mixed.transpose(1, 2).reshape(*x.shape[:2], -1))

    torch.manual_seed(0)
    model, x = Runs().double().eval(), torch.randn(12, 8, 6, dtype=torch.float64)
    smaller = prune(model, x, keep=2)
    assert set(smaller.cuts) == {"inner"}
    assert smaller.left["q[0]"] == smaller.left["k"] == smaller.left["v[1]"] == CODE_FIXES
