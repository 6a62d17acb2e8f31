"""Folding keeps the function where units are exactly redundant, and says how far it moves it where they are not."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.surgery import fold, prune


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
    smaller = fold(model, x)
    removed = smaller.cuts[case.layer].removed if case.layer in smaller.cuts else ()
    assert len(removed) == case.removable or (case.name == "no activation" and len(removed) > case.removable)
    torch.testing.assert_close(smaller.model(x), y, rtol=0, atol=1e-10)
    fresh = torch.randn_like(x)
    torch.testing.assert_close(smaller.model(fresh), model(fresh), rtol=0, atol=1e-9)
    for cut in smaller.cuts.values():
        assert all(error.relative < 1e-10 for error in cut.errors.values())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_predicted_error_is_the_measured_one(case):
    model, x = case.model_and_input()
    smaller = prune(model, x, keep=2, pattern=case.layer)
    [(consumer, error)] = smaller.cuts[case.layer].errors.items()
    outputs: list[Tensor] = []
    for net in (model, smaller.model):
        handle = net.get_submodule(consumer).register_forward_hook(lambda _, args, output: outputs.append(output))
        net(x)
        handle.remove()
    measured = (outputs[0] - outputs[1]).square().mean().sqrt().item()
    assert measured > 1e-3
    assert error.rms == pytest.approx(measured, rel=1e-9, abs=1e-12)


def test_predicted_error_holds_on_other_data():
    model = nn.Sequential(nn.Linear(10, 40), nn.Tanh(), nn.Linear(40, 5)).double()
    x, other = torch.randn(2, 4000, 10, dtype=torch.float64)
    smaller = fold(model, x, tolerance=0.02)
    error = smaller.cuts["0"].errors["2"]
    assert 5 < len(smaller.cuts["0"].removed) < 39
    difference = smaller.model(other) - model(other)
    assert difference.square().mean().sqrt().item() == pytest.approx(error.rms, rel=0.1)
    assert error.relative == pytest.approx(error.rms / model(x).var(0).mean().sqrt().item(), rel=1e-3)


def test_linear_combinations_are_folded():
    model = nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 4)).double()
    x = torch.randn(300, 6, dtype=torch.float64)
    smaller = fold(model, x)
    assert smaller.model[0].out_features == 6  # nine units of six inputs
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-10)


def test_the_result_is_a_plain_module_whose_state_loads_into_the_smaller_architecture():
    model, x = redundant_mlp(), torch.randn(200, 6)
    smaller = fold(model, x).model
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
    assert fold(model, torch.randn(200, 5)).cuts == {}


def test_copies_that_only_the_relu_makes():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    with torch.no_grad():
        model[0].weight[1:3], model[0].bias[1:3] = model[0].weight[1:3] * 0.1, torch.tensor([-9.0, -7.0])
    x = torch.randn(200, 5, dtype=torch.float64)
    assert fold(model, x).cuts["0"].removed == (1, 2)  # different before, both dead behind


def test_bias_free_consumers_get_no_bias():
    model, x = redundant_mlp(bias=False), torch.randn(300, 6)
    with torch.no_grad():
        model[0].weight[[3, 4]], model[0].bias[[3, 4]] = torch.zeros(2, 6), torch.tensor([1.0, 2.0])
    smaller = fold(model, x)
    assert smaller.cuts["0"].removed == (4, 5, 6)  # one constant must stay, in place of a bias
    assert set(smaller.model.state_dict()) == {"0.weight", "0.bias", "2.weight"}
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-5)


def test_all_units_constant_leaves_one():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    nn.init.zeros_(model[0].weight)
    x = torch.randn(20, 3)
    smaller = fold(model, x)
    assert smaller.cuts["0"].kept == (0,)
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-6)


def test_one_unit_and_no_redundancy_change_nothing():
    model = nn.Sequential(nn.Linear(3, 1), nn.Tanh(), nn.Linear(1, 2))
    smaller = fold(model, torch.randn(20, 3))
    assert smaller.cuts == {}
    assert smaller.n_removed == 0
    assert smaller.model[0].out_features == 1


def test_too_few_samples_prove_nothing_but_copies_of_the_first_chosen():
    model = nn.Sequential(nn.Linear(50, 40), nn.Tanh(), nn.Linear(40, 2)).double()
    for n_samples in (2, 8, 20, 40):
        assert fold(model, torch.randn(n_samples, 50, dtype=torch.float64)).cuts == {}
    with torch.no_grad():
        model[0].weight[1:], model[0].bias[1:] = model[0].weight[:1], model[0].bias[:1]
    assert fold(model, torch.randn(20, 50, dtype=torch.float64)).cuts["0"].kept == (0,)


def test_units_with_nan_stay_and_explain_nothing():
    model, x = redundant_mlp(), torch.randn(200, 6)
    with torch.no_grad():
        model[0].weight[2, 0] = torch.nan
    smaller = fold(model, x)
    assert smaller.cuts["0"].removed == (5, 6)
    assert smaller.model[2].weight.isfinite().all()


def test_several_layers_at_once_and_batches_of_a_loader():
    model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight[7], layer.bias[7] = -layer.weight[2], -layer.bias[2]
    x = torch.randn(100, 6, dtype=torch.float64)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), batch_size=16)
    smaller = fold(model, loader)
    assert {name: cut.removed for name, cut in smaller.cuts.items()} == {"0": (7,), "2": (7,)}
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-12)
    assert set(fold(model, x, pattern="2").cuts) == {"2"}


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
    smaller = fold(model, x)
    assert set(smaller.cuts["body"].errors) == {"one", "two"}
    for new, old in zip(smaller.model(x), model(x), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-5)


def test_modes_gradients_and_buffers_stay():
    model, x = redundant_mlp(), torch.randn(200, 6)
    model.insert(1, nn.BatchNorm1d(8))
    model.train()
    model[2].eval()
    model[0].weight.requires_grad_(False)
    before, random = state_of(model), torch.get_rng_state()
    smaller = fold(model, x).model
    assert torch.equal(torch.get_rng_state(), random)
    assert (smaller.training, smaller[2].training, smaller[0].weight.requires_grad) == (True, False, False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert smaller[1].running_mean.shape == (smaller[0].out_features,)
    assert not any(module._forward_hooks for module in smaller.modules())


def test_wrappers_are_taken_off():
    model, x = redundant_mlp(), torch.randn(200, 6)
    wrapped = torch.optim.swa_utils.AveragedModel(deepcopy(model))
    assert type(fold(wrapped, x).model) is nn.Sequential


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types_are_kept(dtype):
    model, x = redundant_mlp().to(dtype), torch.randn(200, 6).to(dtype)
    smaller = fold(model, x, tolerance=1e-3)
    assert {parameter.dtype for parameter in smaller.model.parameters()} == {dtype}
    assert 6 in smaller.cuts["0"].removed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": torch.randn(1, 6)}, "seen in 1 sample;"),
        ({"data": torch.randn(0, 6)}, "must hold samples"),
        ({"data": iter([torch.randn(5, 6)])}, "only once"),
        ({"data": 3}, "collection of batches"),
        ({"tolerance": 0.0}, "share of variance"),
        ({"tolerance": 1.0}, "share of variance"),
        ({"pattern": "nothing"}, "no layer of the model matches"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        fold(redundant_mlp(), **{"data": torch.randn(50, 6)} | arguments)


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
    smaller = fold(model, torch.randn(40, 4))
    assert smaller.cuts == {} and "the code fixes this size" in smaller.left["a[0]"]


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
    smaller = fold(model, x)  # 4 copies 1 in the first tensor only; in the second, both are sums of the others
    assert smaller.cuts["first"].layers == ("first", "inner")
    assert smaller.cuts["first"].removed == (3,)
    assert set(smaller.cuts["first"].errors) == {"inner", "last"}
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-10)
