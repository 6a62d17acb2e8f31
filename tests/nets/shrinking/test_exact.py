"""Without keep and max_loss, units go that others explain exactly, and the network computes what it did."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from planting import plant_everywhere
from torch import Tensor, nn

from cofire.nets.shrinking import Shrunk, shrink

from ..architectures import ARCHITECTURES, varied


def exact(model: nn.Module, x: Any, **options: Any) -> Shrunk:
    """Cut a network by all of the data, and measure on the same."""
    return shrink(model, x, check=x, **options)


def removed(smaller: Shrunk, layer: str) -> tuple[int, ...]:
    if layer not in smaller.cuts:
        return ()
    cut = smaller.cuts[layer]
    return tuple(unit for unit in range(cut.n_units) if unit not in cut.kept)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def redundant_mlp(*, bias: bool = True) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4, bias=bias))
    with torch.no_grad():
        model[0].weight[5], model[0].bias[5] = 3 * model[0].weight[1], 3 * model[0].bias[1]
        model[0].weight[6], model[0].bias[6] = 0, -1.0
    return model


def test_exact_redundancy_leaves_the_outputs_equal(case):
    model, x = case.model_and_input()
    before, y = state_of(model), model(x)
    smaller = exact(model, x)
    gone = removed(smaller, case.layer)
    assert len(gone) == case.removable or (case.name == "no activation" and len(gone) > case.removable)
    torch.testing.assert_close(smaller.model(x), y, rtol=0, atol=1e-10)
    fresh = torch.randn_like(x)
    torch.testing.assert_close(smaller.model(fresh), model(fresh), rtol=0, atol=1e-9)
    assert smaller.measured < 1e-10
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_linear_combinations_are_folded():
    model = nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 4)).double()
    x = torch.randn(300, 6, dtype=torch.float64)
    smaller = exact(model, x)
    assert smaller.model[0].out_features == 6  # nine units of six inputs
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-10)


def test_the_result_is_a_plain_module_whose_state_loads_into_the_smaller_architecture():
    model, x = redundant_mlp(), torch.randn(200, 6)
    smaller = exact(model, x).model
    assert type(smaller) is nn.Sequential
    twin = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4))
    twin.load_state_dict(smaller.state_dict())
    torch.testing.assert_close(twin(x), model(x), rtol=0, atol=1e-5)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in smaller.parameters())
    smaller(x).sum().backward()


def test_negated_pre_activations_part_ways_in_a_relu():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight[3], model[0].bias[3] = -model[0].weight[0], -model[0].bias[0]
    assert exact(model, torch.randn(200, 5)).cuts == {}


def test_copies_that_only_the_relu_makes():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    with torch.no_grad():
        model[0].weight[1:3], model[0].bias[1:3] = model[0].weight[1:3] * 0.1, torch.tensor([-9.0, -7.0])
    x = torch.randn(200, 5, dtype=torch.float64)
    assert removed(exact(model, x), "0") == (1, 2)  # different before, both dead behind


def test_bias_free_consumers_get_no_bias():
    model, x = redundant_mlp(bias=False), torch.randn(300, 6)
    with torch.no_grad():
        model[0].weight[[3, 4]], model[0].bias[[3, 4]] = torch.zeros(2, 6), torch.tensor([1.0, 2.0])
    smaller = exact(model, x)
    assert removed(smaller, "0") == (4, 5, 6)  # one constant must stay, in place of a bias
    assert set(smaller.model.state_dict()) == {"0.weight", "0.bias", "2.weight"}
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-5)


def test_all_units_constant_leaves_one():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    nn.init.zeros_(model[0].weight)
    x = torch.randn(20, 3)
    smaller = exact(model, x)
    assert smaller.cuts["0"].kept == (0,)
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-6)


def test_one_unit_and_no_redundancy_change_nothing():
    model = nn.Sequential(nn.Linear(3, 1), nn.Tanh(), nn.Linear(1, 2))
    smaller = exact(model, torch.randn(20, 3))
    assert smaller.cuts == {}
    assert smaller.n_parameters[0] == smaller.n_parameters[1]
    assert smaller.model[0].out_features == 1


def test_too_few_samples_prove_nothing_but_copies_of_the_first_chosen():
    model = nn.Sequential(nn.Linear(50, 40), nn.Tanh(), nn.Linear(40, 2)).double()
    for n_samples in (2, 8, 20, 40):
        assert exact(model, torch.randn(n_samples, 50, dtype=torch.float64)).cuts == {}
    with torch.no_grad():
        model[0].weight[1:], model[0].bias[1:] = model[0].weight[:1], model[0].bias[:1]
    assert exact(model, torch.randn(20, 50, dtype=torch.float64)).cuts["0"].kept == (0,)


def test_several_layers_at_once_and_batches_of_a_loader():
    model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight[7], layer.bias[7] = -layer.weight[2], -layer.bias[2]
    x = torch.randn(100, 6, dtype=torch.float64)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), batch_size=16)
    smaller = exact(model, loader)
    assert {name: removed(smaller, name) for name in smaller.cuts} == {"0": (7,), "2": (7,)}
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-12)
    assert set(exact(model, x, leave="0").cuts) == {"2"}


def test_several_consumers_of_the_same_units():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.one, self.two = nn.Linear(4, 5), nn.Linear(5, 2), nn.Linear(5, 3)

        def forward(self, x):
            h = self.body(x).relu()
            return self.one(h), self.two(h)

    model, x = Heads(), torch.randn(100, 4)
    with torch.no_grad():
        model.body.weight[3], model.body.bias[3] = 2 * model.body.weight[0], 2 * model.body.bias[0]
    smaller = exact(model, x)
    assert removed(smaller, "body") == (3,)
    for new, old in zip(smaller.model(x), model(x), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-5)


def test_modes_gradients_and_buffers_stay():
    model, x = redundant_mlp(), torch.randn(200, 6)
    model.insert(1, nn.BatchNorm1d(8))
    model.train()
    model[2].eval()
    model[0].weight.requires_grad_(False)
    before, random = state_of(model), torch.get_rng_state()
    smaller = exact(model, x).model
    assert torch.equal(torch.get_rng_state(), random)
    assert (smaller.training, smaller[2].training, smaller[0].weight.requires_grad) == (True, False, False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert smaller[1].running_mean.shape == (smaller[0].out_features,)
    assert not any(module._forward_hooks for module in smaller.modules())


def test_wrappers_are_taken_off():
    model, x = redundant_mlp(), torch.randn(200, 6)
    wrapped = torch.optim.swa_utils.AveragedModel(deepcopy(model))
    assert type(exact(wrapped, x).model) is nn.Sequential


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types_are_kept(dtype):
    model, x = redundant_mlp().to(dtype), torch.randn(200, 6).to(dtype)
    smaller = exact(model, x)
    assert {parameter.dtype for parameter in smaller.model.parameters()} == {dtype}
    assert 6 in removed(smaller, "0")


def test_a_forward_that_counts_on_the_width_is_left():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.b(self.a(x).view(-1, 2, 3).relu().flatten(1))

    model = Fixed()
    with torch.no_grad():
        model.a.weight[3:], model.a.bias[3:] = model.a.weight[:3], model.a.bias[:3]
    smaller = exact(model, torch.randn(40, 4))
    assert smaller.cuts == {} and "the code fixes its size" in smaller.left["a[0]"]


def test_units_read_from_several_tensors_go_only_if_all_of_them_say_so():
    class Stream(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.inner, self.last = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            h = self.first(x)
            return self.last(h + self.inner(h.tanh()))

    torch.manual_seed(0)
    model, x = Stream().double(), torch.randn(200, 5, dtype=torch.float64)
    with torch.no_grad():
        model.first.weight[3:5], model.first.bias[3:5] = model.first.weight[:2], model.first.bias[:2]
        model.inner.weight[3], model.inner.bias[3] = model.inner.weight[0], model.inner.bias[0]
    smaller = exact(model, x)  # 4 copies 1 in the first tensor only; in the second, both are sums of the others
    assert smaller.cuts["first"].layers == ("first", "inner")
    assert removed(smaller, "first") == (3,)
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-10)


def test_a_forward_that_reads_the_width_is_left():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            h = self.a(x).relu()
            return self.b(h / h.shape[1])

    model = Mean()
    with torch.no_grad():
        model.a.weight[3:], model.a.bias[3:] = model.a.weight[:3], model.a.bias[:3]
    smaller = exact(model, torch.randn(100, 4))
    assert smaller.cuts == {} and "computes something else" in smaller.left["a"]


def test_units_that_nothing_reads_go():
    model, x = redundant_mlp().double(), torch.randn(200, 6, dtype=torch.float64)
    with torch.no_grad():
        model[2].weight[:, 2] = 0
    smaller = exact(model, x)
    assert removed(smaller, "0") == (2, 5, 6)
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_copies_planted_in_every_group_go_without_a_trace(name):
    make, shape, n_groups = ARCHITECTURES[name]
    torch.manual_seed(2)
    model, x = varied(make()), torch.randn(3 * shape[0], *shape[1:], dtype=torch.float64)
    plant_everywhere(model, x)
    before = deepcopy(model.state_dict())
    smaller = exact(model, x)
    assert len(smaller.cuts) == n_groups + (name == "attention of any size")  # the size of values may vary there
    assert all({0, 1} - {*cut.kept} for cut in smaller.cuts.values())
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-8)
    assert all(torch.equal(value, before[one]) for one, value in model.state_dict().items())
