"""How far outputs move by new weights: predicted to first order, and measured."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.surgery import OutputError, output_error
from cofire.nets.surgery.output_change import predicted_error
from cofire.nets.surgery.output_errors import ErrorSums, combined


def deep(width: int = 24, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 3)
    ).double()


def data(n_samples: int = 2000) -> Tensor:
    return torch.randn(n_samples, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def changed(model: nn.Module, amount: float, *names: str) -> dict[str, Tensor]:
    """Return a network's weights after random changes of some."""
    generator = torch.Generator().manual_seed(3)
    weights = {name: model.get_parameter(name).detach() for name in names}
    return {
        name: one + amount * one.std() * torch.randn(one.shape, dtype=one.dtype, generator=generator)
        for name, one in weights.items()
    }


def with_weights(model: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    other = copy.deepcopy(model)
    other.load_state_dict(weights, strict=False)
    return other


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, nn.ReLU])
def test_small_changes_of_several_layers_are_predicted_together(activation):
    model, x = deep(activation=activation), data()
    weights = changed(model, 0.05, "2.weight", "4.weight")
    measured = output_error(model, with_weights(model, weights), x)
    predicted = predicted_error(model, weights, [x])
    assert predicted.rms == pytest.approx(measured.rms, rel=0.1)
    assert predicted.relative == pytest.approx(measured.relative, rel=0.1)
    assert 0.01 < measured.relative < 0.2


def test_linear_networks_are_exact_to_first_order_in_each_weight():
    model, x = deep(activation=nn.Identity), data()
    weights = changed(model, 2.0, "2.weight")
    measured = output_error(model, with_weights(model, weights), x)
    assert predicted_error(model, weights, x.split(300)).rms == pytest.approx(measured.rms, rel=1e-9)


def test_nothing_changed_moves_nothing():
    model, x = deep(), data(100)
    assert predicted_error(model, {}, [x]) == OutputError(0.0, 0.0)
    assert output_error(model, copy.deepcopy(model), x).rms == 0


class WithoutForwardDerivative(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass


class Odd(nn.Module):
    """Its outputs come in a dict with other things; one operation has no forward derivative if so wished."""

    def __init__(self, *, derivative: bool) -> None:
        super().__init__()
        self.body, self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 1)
        self.last = nn.GRU(2, 2) if not derivative else nn.Identity()

    def forward(self, x: Tensor) -> dict[str, object]:
        h = functional.silu(self.body(x))
        one = self.one(h) if isinstance(self.last, nn.Identity) else WithoutForwardDerivative.apply(self.one(h))
        return {"one": one, "count": 3, "more": (self.two(h).squeeze(-1), one.argmax(-1))}


def test_outputs_of_any_structure_count():
    torch.manual_seed(2)
    model, x = Odd(derivative=True).double(), data(500)
    weights = changed(model, 1.0, "one.weight", "two.weight")
    other = with_weights(model, weights)
    before, after = model(x), other(x)
    moved = torch.cat([after["one"] - before["one"], (after["more"][0] - before["more"][0])[:, None]], 1)
    measured = output_error(model, other, x)
    assert measured.rms == pytest.approx(moved.square().mean().sqrt().item(), rel=1e-9)
    outputs = torch.cat([before["one"], before["more"][0][:, None]], 1)
    assert measured.relative == pytest.approx(measured.rms / outputs.var(0, correction=0).mean().sqrt().item())
    assert predicted_error(model, weights, [x]).rms == pytest.approx(measured.rms, rel=1e-9)


def test_no_prediction_is_made_up_where_torch_has_no_derivative():
    model = Odd(derivative=False).double()
    assert predicted_error(model, changed(model, 1.0, "one.weight"), [data(500)]) is None


def test_modes_come_back_and_batches_agree_with_the_whole():
    model, x = deep(), data(1000)
    model.train()
    other = with_weights(model, changed(model, 0.5, "2.weight"))
    whole = output_error(model, other, x)
    parts = output_error(model, other, list(x.split(77)))
    assert (parts.rms, parts.relative) == pytest.approx((whole.rms, whole.relative), rel=1e-12)
    assert model.training and other.training


def test_other_tasks_cannot_be_compared():
    with pytest.raises(ValueError, match="different shapes"):
        output_error(nn.Linear(6, 2).double(), nn.Linear(6, 3).double(), data(10))


def test_sums_without_samples_are_no_numbers():
    assert math.isnan(combined([]).rms)
    sums = ErrorSums()
    sums.add(torch.zeros(1, 2), torch.ones(1, 2))
    assert combined([sums]).rms == 0
    assert math.isnan(combined([sums]).relative)
