"""Both laws of dropout against simulation and closed forms, and the report that sets them beside what is measured."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cofire.nets.dropout import DropoutReport, dropout_report
from cofire.stats import neuronal_correlation
from cofire.stats.correlation.dropout_laws import dropout_correlation, dropout_second_moment


def correlated(n: int, shift: float = 0.0) -> Tensor:
    mix = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return torch.randn(n, 5, dtype=torch.float64) @ mix + shift


@pytest.mark.parametrize("shift", [0.0, 2.0])
@pytest.mark.parametrize("keep", [0.3, 0.7, 1.0])
def test_both_laws_hold_for_masks_that_are_drawn(keep, shift):
    x = correlated(400_000, shift)
    dropped = x * (torch.rand_like(x) < keep)
    moment = dropout_second_moment(x.T @ x / len(x), keep=keep)
    scale = moment.diagonal().max()
    assert (dropped.T @ dropped / len(x) - moment).abs().max() < 0.01 * scale
    predicted = dropout_correlation(x.T.cov(), x.mean(0), keep=keep)
    for rescaled in (dropped, dropped / keep):
        assert (rescaled.T.corrcoef() - predicted).abs().max() < 0.008


def test_closed_forms():
    rho = torch.tensor([[1.0, -0.6], [-0.6, 1.0]], dtype=torch.float64)
    assert dropout_correlation(rho, torch.zeros(2), keep=0.7)[0, 1].item() == pytest.approx(-0.42)
    scaled = rho * torch.tensor([[4.0, 6.0], [6.0, 9.0]])
    # p ρ / √((1 + (1-p) 1/4)(1 + (1-p) 4/9))
    expected = -0.42 / math.sqrt((1 + 0.3 / 4) * (1 + 0.3 * 4 / 9))
    assert dropout_correlation(scaled, torch.tensor([1.0, -2.0]), keep=0.7)[1, 0].item() == pytest.approx(expected)
    assert dropout_second_moment(rho, keep=0.7)[0, 1].item() == pytest.approx(-0.6 * 0.49)
    assert dropout_second_moment(rho.numpy(), keep=0.7)[0, 0].item() == pytest.approx(0.7)


def test_constant_units_start_to_vary_unless_they_are_zero():
    covariance = torch.diag(torch.tensor([1.0, 0.0, 0.0]))
    rho = dropout_correlation(covariance, torch.tensor([0.0, 3.0, 0.0]), keep=0.5)
    assert rho[0, 1] == 0
    assert rho.diagonal().tolist()[:2] == [1.0, 1.0]
    assert rho[2].isnan().all()


@pytest.mark.parametrize("keep", [0.0, 1.1, math.nan, -1.0])
def test_laws_refuse(keep):
    with pytest.raises(ValueError, match="keep must be above 0 and at most 1"):
        dropout_second_moment(torch.eye(2), keep=keep)
    with pytest.raises(ValueError, match="keep must be above 0 and at most 1"):
        dropout_correlation(torch.eye(2), torch.zeros(2), keep=keep)
    with pytest.raises(ValueError, match="shape"):
        dropout_second_moment(torch.ones(2, 3), keep=0.5)
    with pytest.raises(ValueError, match="mean must have shape"):
        dropout_correlation(torch.eye(2), torch.zeros(3), keep=0.5)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 10), nn.Tanh(), nn.Dropout(0.3), nn.Linear(10, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
    )


def test_measured_values_follow_the_laws_layer_by_layer():
    model, x = network(), torch.randn(20_000, 6)
    report = dropout_report(model, x.split(5000))
    first, second = report.rows
    assert [row.layer for row in report.rows] == ["2", "5"]
    assert (first.keep, first.n_units, first.n_samples) == (0.7, 10, 20_000)
    with torch.no_grad():
        assert first.without == pytest.approx(neuronal_correlation(model[:2](x)).mean_abs, rel=1e-5)
    assert first.entering == pytest.approx(first.without)
    assert second.entering != pytest.approx(second.without, rel=0.01)  # the first layer's mask came before
    for row in report.rows:
        assert row.dropped == pytest.approx(row.pearson_law, abs=0.01)
        assert row.dropped < row.entering
        assert row.second_moment_dropped == pytest.approx(row.second_moment_law, rel=0.05)
        assert row.second_moment_law == pytest.approx(row.keep**2 * row.second_moment)
        assert row.paper_law == pytest.approx(row.keep**2 * row.entering)
    # units of mean 0: keep times, not keep squared
    assert abs(first.dropped - first.paper_law) > 3 * abs(first.dropped - first.pearson_law)


def test_channels_are_dropped_as_a_whole():
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Dropout2d(0.4), nn.Conv2d(5, 3, 1))
    seen: list[Tensor] = []
    model[2].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    (row,) = dropout_report(model, torch.randn(400, 2, 5, 5).split(200)).rows
    assert (row.n_units, row.n_samples) == (5, 400 * 9)
    masked = seen[1].flatten(2)
    whole = (masked == 0).all(2)
    assert torch.equal(whole, (masked == 0).any(2))
    assert 0.3 < whole.float().mean() < 0.5
    assert row.dropped == pytest.approx(row.pearson_law, abs=0.06)


def test_model_and_random_state_are_left_alone(n_hooks):
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    model[1].eval()
    loader = DataLoader(TensorDataset(torch.randn(64, 6), torch.zeros(64)), batch_size=16, shuffle=True)
    statistics = model[1].running_mean.clone()
    torch.manual_seed(9)
    state = torch.get_rng_state()
    one = dropout_report(model, loader, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model] == [True, False, True, True]
    assert torch.equal(model[1].running_mean, statistics)
    assert n_hooks(model) == 0
    assert dropout_report(model, loader, seed=3) == one
    assert dropout_report(model, loader, seed=4) != one


def test_a_failing_model_is_left_alone_too(n_hooks):
    model, batches = network(), [torch.randn(4, 6), torch.randn(4, 7)]
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"cannot take a batch of shape \(4, 7\)"):
        dropout_report(model, batches)
    assert n_hooks(model) == 0
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_of_every_form():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 2)

        def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
            return self.head(self.drop(a))

    torch.manual_seed(0)
    named = Named()
    x = torch.randn(50, 4)
    reports = [
        dropout_report(named, [x]),
        dropout_report(named, [(x, 1)]),
        dropout_report(named, [[x, 1]]),
        dropout_report(named, [{"a": x, "b": x}]),
        dropout_report(named, [x.numpy()], forward=lambda model, batch: model(torch.from_numpy(batch))),
        dropout_report(named, iter([x])),
    ]
    assert all(report == reports[0] for report in reports)


def test_one_layer_used_twice_is_one_row():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.drop = nn.Linear(4, 4), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.fc(self.drop(x)))

    (row,) = dropout_report(Twice(), [torch.randn(30, 4)]).rows
    assert (row.layer, row.n_samples) == ("drop", 60)


def test_what_is_left_out_is_named_and_the_table_shows_all():
    model = nn.Sequential(nn.Linear(4, 4), nn.AlphaDropout(0.2), nn.Dropout(0.0), nn.Dropout(0.25))
    report = dropout_report(model, [torch.randn(100, 4)])
    assert isinstance(report, DropoutReport)
    assert list(report.left_out) == ["1", "2"]
    header, row, *rest = str(report).splitlines()
    assert header.split()[:3] == ["layer", "keep", "n_samples"]
    assert row.split()[:4] == ["3", "0.7500", "100", "4"]
    assert len(header) == len(row)
    assert "AlphaDropout" in rest[0]


def test_refusals():
    class Functional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, self.training)

    with pytest.raises(ValueError, match=r"F\.dropout"):
        dropout_report(Functional(), [torch.randn(3, 4)])
    with pytest.raises(ValueError, match="probability 0"):
        dropout_report(nn.Sequential(nn.Dropout(0.0)), [torch.randn(3, 4)])
    with pytest.raises(ValueError, match="no batch"):
        dropout_report(network(), [])


def test_one_sample_is_undefined_and_said_so():
    (row,) = dropout_report(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), [torch.randn(1, 4)]).rows
    assert math.isnan(row.entering) and math.isnan(row.pearson_law)
    assert "nan" in str(DropoutReport((row,), {}))


def test_dropout_of_what_is_no_unit_is_left_out_with_the_reason():
    with pytest.raises(ValueError, match="0: its output shows units of no layer"):
        dropout_report(nn.Sequential(nn.Dropout(0.5)), [torch.randn(9, 4)])
