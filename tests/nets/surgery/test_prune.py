"""Pruning by redundancy and by magnitude: counts, choices, what they cost, and what cannot be done."""

import pytest
import torch
from torch import nn

from cofire.nets.surgery import prune


def mlp() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 12), nn.Tanh(), nn.Linear(12, 3)).double()


def data(n_samples: int = 500) -> torch.Tensor:
    return torch.randn(n_samples, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("by", ["redundancy", "magnitude", "magnitude_refit"])
@pytest.mark.parametrize(
    ("keep", "widths"),
    [(0.5, (10, 6)), (1.0, (20, 12)), (1, (1, 1)), (12, (12, 12)), (0.001, (1, 1)), ({"0": 0.25, "2": 7}, (5, 7))],
)
def test_widths_are_those_asked_for(by, keep, widths):
    model, x = mlp(), data()
    smaller = prune(model, x, keep=keep, by=by).model
    assert (smaller[0].out_features, smaller[2].out_features) == widths
    assert (smaller[2].in_features, smaller[4].in_features) == widths
    assert smaller(x).shape == (500, 3)
    assert model[0].out_features == 20


def test_magnitude_keeps_the_largest_and_needs_one_input():
    model = mlp()
    norms = model[0].weight.norm(dim=1)
    smaller = prune(model, data(1), keep={"0": 8}, by="magnitude")
    kept = sorted(norms.topk(8).indices.tolist())
    assert smaller.cuts["0"].kept == tuple(kept)
    assert torch.equal(smaller.model[0].weight, model[0].weight[kept])
    assert torch.equal(smaller.model[2].weight, model[2].weight[:, kept])
    assert torch.equal(smaller.model[2].bias, model[2].bias)


def test_redundancy_costs_less_than_magnitude():
    model, x = mlp(), data()
    errors = {
        by: prune(model, x, keep={"0": 12}, by=by).cuts["0"].errors["2"].rms for by in ("redundancy", "magnitude")
    }
    assert errors["redundancy"] < 0.5 * errors["magnitude"]


def test_refit_keeps_what_magnitude_keeps_and_makes_up_by_least_squares():
    model, x = mlp(), data()
    plain, refit, redundant = (
        prune(model, x, keep={"0": 12}, by=by).cuts["0"] for by in ("magnitude", "magnitude_refit", "redundancy")
    )
    assert refit.kept == plain.kept
    units = torch.cat([model[:2](x), torch.ones(len(x), 1, dtype=x.dtype)], 1)
    kept = [*refit.kept, 20]
    fitted = units[:, kept] @ torch.linalg.lstsq(units[:, kept], units[:, list(refit.removed)]).solution
    left = (units[:, list(refit.removed)] - fitted) @ model[2].weight[:, list(refit.removed)].T
    assert refit.errors["2"].rms == pytest.approx(left.square().mean().sqrt().item(), rel=1e-9)
    assert redundant.errors["2"].rms < refit.errors["2"].rms < plain.errors["2"].rms


def test_refit_with_copies_among_the_kept():
    model, x = mlp(), data()
    with torch.no_grad():  # the largest are copies of one another: they explain no more than one of them does
        model[0].weight[1:6], model[0].bias[1:6] = 50 * model[0].weight[:1], 50 * model[0].bias[:1]
        model[0].weight[6:9] = 0
    cut = prune(model, x, keep={"0": 4}, by="magnitude_refit").cuts["0"]
    assert cut.kept == (1, 2, 3, 4)
    assert all(error.rms < 100 for error in cut.errors.values())


def test_exact_copies_go_first():
    model, x = mlp(), data()
    with torch.no_grad():
        model[0].weight[10:], model[0].bias[10:] = model[0].weight[:10] * 2, model[0].bias[:10] * 2
    smaller = prune(model, x, keep={"0": 10})
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-10)


def test_a_unit_that_the_next_layer_hardly_reads_goes_before_one_that_it_does():
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)).double(), data()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(8))
        model[1].weight[:, 3] *= 1e-6
    assert prune(model, x, keep=7).cuts["0"].removed == (3,)


def test_more_units_than_the_rank_are_still_as_many_as_asked():
    model, x = nn.Sequential(nn.Linear(8, 20), nn.Linear(20, 3)).double(), data()
    smaller = prune(model, x, keep=15)
    assert smaller.model[0].out_features == 15
    torch.testing.assert_close(smaller.model(x), model(x), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0}, "whole number above 0; got 0$"),
        ({"keep": 0.0}, "share above 0"),
        ({"keep": 1.5}, "share above 0"),
        ({"keep": 13}, "asks for 13 units of layer '2', which has 12; .* a share such as 0.5, .*'!2'"),
        ({"keep": {"0": 30}}, "30 units of layer '0', which has 20"),
        ({"keep": {"0": 0}}, "got 0 for layer '0'"),
        ({"keep": True}, "got True"),
        ({"keep": float("nan")}, "share above 0"),
        ({"keep": {"4": 0.5}}, "the network's outputs"),
        ({"keep": {"none": 0.5}}, "no layer asked for has that name"),
        ({"keep": 0.5, "by": "luck"}, "redundancy, magnitude"),
        ({"keep": 0.5, "data": None}, "runs the model to see how its units are wired; pass inputs"),
        ({"keep": 0.9, "data": data(20)}, "too few to fit 18 units; pass at least 29"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        prune(mlp(), **{"data": data()} | arguments)


def test_layers_are_chosen_and_taken_away_by_patterns():
    assert set(prune(mlp(), data(), keep=0.5, pattern="0").cuts) == {"0"}
    assert set(prune(mlp(), data(), keep=0.5, pattern=["*", "!2"]).cuts) == {"0"}
    assert set(prune(mlp(), data(), keep=13, pattern="!2").cuts) == {"0"}
    with pytest.raises(ValueError, match="it is empty"):
        prune(mlp(), data(), keep=0.5, pattern=[])


def test_a_surgery_says_what_was_kept():
    told = repr(prune(mlp(), data(), keep=0.5, by="magnitude"))
    assert told.startswith("Surgery(kept={'0': '10 of 20', '2': '6 of 12'}, left=['4'], predicted=OutputError(rms=")
