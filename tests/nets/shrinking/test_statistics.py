"""Moments and sensitivities against plain sums and plain autograd."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.shrinking.free_groups import Structure, structure
from cofire.nets.shrinking.statistics import NOT_FINITE, Statistics, precise, sampled


def learned(model: nn.Module, batches: Sequence[Any], seed: int = 3) -> tuple[Structure, Statistics]:
    found = structure(model.eval(), batches[0])
    statistics = Statistics(model, found, found.readers, seed=seed)
    statistics.run(batches)
    return found, statistics


def sensitivity(
    model: nn.Module, module: str, batches: Sequence[Tensor], rows_of: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the mean over samples of the sum over rows of g gᵀ, g the gradient at a module's output."""
    generator = torch.Generator().manual_seed(3)
    total, n = torch.zeros(()), 0
    for batch in batches:
        kept = []
        handle = model.get_submodule(module).register_forward_hook(
            lambda _module, _args, output, kept=kept: kept.append(output)
        )
        output = model(batch)
        handle.remove()
        noise = torch.randn(output.shape, generator=generator).to(output)
        (gradient,) = torch.autograd.grad((output * noise).sum(), kept)
        rows = rows_of(gradient)
        total, n = total + rows.T @ rows, n + len(batch)
    return total / n


def features_last(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def test_inputs_and_sensitivity_of_a_linear_reader_over_tokens():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batches = [torch.randn(n, 6, 3, dtype=torch.float64) for n in (4, 7)]
    found, statistics = learned(model, batches)
    (one,) = statistics.inputs(found.groups["0"])
    rows = torch.cat([features_last(torch.relu(model[0](batch))) for batch in batches]).detach()
    rows = torch.cat([rows, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
    torch.testing.assert_close(one.second, rows.T @ rows / len(rows))
    weight = model[2].weight.detach()
    torch.testing.assert_close(one.sensitivity, weight.T @ sensitivity(model, "2", batches, features_last) @ weight)
    assert one.units.tolist() == list(range(5)) and one.columns.tolist() == [[k] for k in range(5)]


def test_inputs_and_sensitivity_of_a_convolution_are_those_of_its_windows():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3, stride=2, padding=1)).double()
    batches = [torch.randn(n, 2, 8, 7, dtype=torch.float64) for n in (2, 3)]
    found, statistics = learned(model, batches)
    (one,) = statistics.inputs(found.groups["0"])
    rows = []
    for batch in batches:
        patches = functional.unfold(torch.relu(model[0](batch)), 3, padding=1, stride=2)  # channels times taps
        rows.append(patches.transpose(1, 2).flatten(0, 1))
    rows = torch.cat(rows).detach()
    rows = torch.cat([rows, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
    torch.testing.assert_close(one.second, rows.T @ rows / len(rows))
    weight = model[2].weight.detach().flatten(1)
    torch.testing.assert_close(one.sensitivity, weight.T @ sensitivity(model, "2", batches, channels_last) @ weight)
    assert one.columns.tolist() == [[9 * unit + tap for tap in range(9)] for unit in range(4)]


class Gated(nn.Module):
    """Two layers that read one tensor, and one that reads a function of it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.gate, self.up = nn.Linear(3, 5), nn.Linear(5, 6), nn.Linear(5, 6)
        self.beside, self.down = nn.Linear(5, 2, bias=False), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.inner(x))
        return self.down(torch.sigmoid(self.gate(h)) * self.up(h)) + self.beside(h.square())


def test_readers_of_one_tensor_share_its_moments_and_add_their_sensitivities():
    model, batches = Gated().double(), [torch.randn(9, 3, dtype=torch.float64)]
    found, statistics = learned(model, batches)
    assert found.readers["gate.weight"].source == found.readers["up.weight"].source
    first, second = sorted(statistics.inputs(found.groups["inner"]), key=lambda one: len(one.second), reverse=True)
    both = sum(
        layer.weight.T @ sensitivity(model, name, batches, features_last) @ layer.weight
        for name, layer in (("gate", model.gate), ("up", model.up))
    )
    torch.testing.assert_close(first.sensitivity, both.detach())
    assert first.second.shape == (6, 6)  # a constant: both have biases
    h = torch.tanh(model.inner(batches[0])).square().detach()
    torch.testing.assert_close(second.second, h.T @ h / 9)


def test_a_vector_of_weights_has_the_sensitivity_of_a_row():
    class Scored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.v = nn.Linear(3, 5), nn.Parameter(torch.randn(5))

        def forward(self, x: Tensor) -> Tensor:
            return 3 * (torch.tanh(self.inner(x)) @ self.v)

    model, x = Scored().double(), torch.randn(9, 3, dtype=torch.float64)
    found, statistics = learned(model, [x])
    (one,) = statistics.inputs(found.groups["inner"])
    noise = 3 * torch.randn(9, generator=torch.Generator().manual_seed(3)).double()
    v = model.v.detach()
    torch.testing.assert_close(one.sensitivity, torch.outer(v, v) * noise.square().mean())


def test_spread_is_the_variance_of_all_outputs_summed_over_their_entries():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.a, self.b = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.relu(self.inner(x))
            return self.a(h[:, 0]), self.b(h)

    model = Two().double()
    batches = [torch.randn(n, 4, 3, dtype=torch.float64) for n in (5, 8)]
    _, statistics = learned(model, batches)
    a, b = (
        torch.cat([output.detach().flatten(0, -2) for output in part])
        for part in zip(*map(model, batches), strict=True)
    )
    expected = a.var(0, correction=0).sum() + 4 * b.var(0, correction=0).sum()  # b has four positions a sample
    assert statistics.spread == pytest.approx(float(expected))


def test_weights_that_make_up_predict_what_a_linear_network_does():
    """Without activation functions all is linear, so least squares on the inputs is exact for what they are."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3)).double()
    with torch.no_grad():
        model[0].weight[4], model[0].bias[4] = 2 * model[0].weight[1], 5.0
    x = torch.randn(50, 4, dtype=torch.float64)
    found, statistics = learned(model, [x])
    keep = {found.groups["0"].leaf: torch.tensor([0, 1, 2, 3, 5])}
    made = statistics.made_up(keep)
    assert set(made) == {"1.weight", "1.bias"}
    assert not made["1.weight"][:, 4].any()
    after = torch.func.functional_call(model, made, (x,))
    torch.testing.assert_close(after, model(x), rtol=0, atol=1e-2)


def test_moments_of_features_far_from_zero_keep_their_variance():
    """In float32, a sum of squares near 1e6 would lose a variance of 1e-2."""
    model, x = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)), torch.randn(200, 3)
    with torch.no_grad():
        model[0].weight.mul_(0.1)
        model[0].bias.fill_(1000.0)
    found, statistics = learned(model, list(x.split(20)))
    (one,) = statistics.inputs(found.groups["0"])
    variance = one.second.diagonal()[:-1] - one.second[:-1, -1].square()
    torch.testing.assert_close(variance, model[0](x).detach().double().var(0, correction=0), rtol=0.02, atol=0)


def test_numbers_that_are_not_finite_raise():
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    x = torch.randn(9, 3)
    found = structure(model.eval(), x)
    x[4, 1] = torch.inf
    with pytest.raises(ValueError, match="NaN or infinity") as raised:
        Statistics(model, found, found.readers, seed=0).run([x])
    assert str(raised.value) == NOT_FINITE


def test_outputs_without_gradients_raise():
    class Detached(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    model, x = Detached(nn.Linear(3, 5), nn.Linear(5, 2)), torch.randn(9, 3)
    found = structure(model.eval(), x)
    with pytest.raises(ValueError, match="no gradient"):
        Statistics(model, found, found.readers, seed=0).run([x])


def test_rows_are_sampled_evenly_and_held_precisely():
    rows = torch.arange(10.0)[:, None]
    assert sampled(rows, 4)[:, 0].tolist() == [0, 3, 6, 9] and sampled(rows, 10) is rows
    assert precise(rows.bfloat16()).dtype == torch.float32 and precise(rows.double()).dtype == torch.float64


def test_the_users_gradients_stay():
    model, x = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)), torch.randn(9, 3)
    learned(model, [x])
    assert all(one.grad is None for one in model.parameters())
