"""The error predicted for all cuts together is the one that the smaller network is measured to have."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.surgery import OutputError, output_error, prune
from cofire.nets.surgery.output_errors import ErrorSums, combined


def deep(width: int = 24, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 3)
    ).double()


def data(n_samples: int = 2000) -> Tensor:
    return torch.randn(n_samples, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, nn.ReLU])
def test_small_cuts_of_several_layers_are_predicted_together(activation):
    model, x = deep(activation=activation), data()
    smaller = prune(model, x, keep={"0": 22, "2": 21})
    assert set(smaller.cuts) == {"0", "2"}
    measured = output_error(model, smaller.model, x)
    assert smaller.predicted.rms == pytest.approx(measured.rms, rel=0.1)
    assert smaller.predicted.relative == pytest.approx(measured.relative, rel=0.1)
    assert measured.relative < 0.2
    # the errors of the layers, each by itself, do not say it
    assert smaller.cuts["2"].errors["4"].rms < 0.95 * measured.rms


def test_one_cut_before_the_outputs_is_predicted_exactly(case):
    model, x = case.model_and_input()
    smaller = prune(model, x, keep=2, pattern=case.layer)
    last = list(model.children())[-1]
    consumers = [model.get_submodule(name) for name in smaller.cuts[case.layer].errors]
    measured = output_error(model, smaller.model, x)
    if consumers == [last]:
        assert smaller.predicted.rms == pytest.approx(measured.rms, rel=1e-9)
    assert 0 < smaller.predicted.rms < 10 * measured.rms


def test_linear_networks_are_exact_to_first_order_in_each_cut():
    model, x = deep(activation=nn.Identity), data()
    smaller = prune(model, x, keep={"2": 2})
    assert smaller.predicted.rms == pytest.approx(output_error(model, smaller.model, x).rms, rel=1e-9)


def test_nothing_cut_moves_nothing():
    model, x = deep(), data(100)
    smaller = prune(model, x, keep=1.0)
    assert smaller.predicted == OutputError(0.0, 0.0)
    assert output_error(model, smaller.model, x).rms == 0


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
    smaller = prune(model, x, keep={"body": 5})
    before, after = model(x), smaller.model(x)
    moved = torch.cat([after["one"] - before["one"], (after["more"][0] - before["more"][0])[:, None]], 1)
    measured = output_error(model, smaller.model, x)
    assert measured.rms == pytest.approx(moved.square().mean().sqrt().item(), rel=1e-9)
    outputs = torch.cat([before["one"], before["more"][0][:, None]], 1)
    assert measured.relative == pytest.approx(measured.rms / outputs.var(0, correction=0).mean().sqrt().item())
    assert smaller.predicted.rms == pytest.approx(measured.rms, rel=1e-9)


def test_no_prediction_is_made_up_where_torch_has_no_derivative():
    smaller = prune(Odd(derivative=False).double(), data(500), keep={"body": 5})
    assert smaller.predicted is None
    assert smaller.cuts["body"].errors["one"].rms > 0


def test_modes_come_back_and_batches_agree_with_the_whole():
    model, x = deep(), data(1000)
    model.train()
    smaller = prune(model, x, keep=0.8)
    whole = output_error(model, smaller.model, x)
    parts = output_error(model, smaller.model, list(x.split(77)))
    assert (parts.rms, parts.relative) == pytest.approx((whole.rms, whole.relative), rel=1e-12)
    assert model.training
    assert smaller.model.training
    by_parts = prune(model, list(x.split(77)), keep=0.8).predicted
    assert by_parts.rms == pytest.approx(smaller.predicted.rms, rel=1e-9)


def test_other_tasks_cannot_be_compared():
    with pytest.raises(ValueError, match="different shapes"):
        output_error(nn.Linear(6, 2).double(), nn.Linear(6, 3).double(), data(10))


def test_sums_without_samples_are_no_numbers():
    assert math.isnan(combined([]).rms)
    sums = ErrorSums()
    sums.add(torch.zeros(1, 2), torch.ones(1, 2))
    assert combined([sums]).rms == 0
    assert math.isnan(combined([sums]).relative)
