import json
import math

import pytest
import torch
from torch import nn

from cofire.nets import redundancy, sites
from cofire.nets.redundancy import redundancy_report, streaming, weight_redundancy_report
from cofire.nets.redundancy.layer_quantities import JUDGED, measured, value_of
from cofire.nets.redundancy.measure_layers import MOST_VECTORS
from cofire.nets.redundancy.to_json import as_plain
from cofire.stats import neuronal_correlation, weight_correlation
from cofire.stats._base.quantities import QUANTITIES
from cofire.stats.correlation.moments import Moments
from cofire.stats.redundancy.activation_redundancy import redundancy as of_moments


@pytest.fixture
def model() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 9), nn.BatchNorm1d(9), nn.Tanh(), nn.Linear(9, 1))
    with torch.no_grad():
        net[0].weight[3], net[0].bias[3] = 2 * net[0].weight[1], 2 * net[0].bias[1]
        net[0].weight[5], net[0].bias[5] = 0.0, -1.0
    return net


def by_name(report):
    return {layer.layer: layer for layer in report.layers}


def test_each_layer_says_what_its_statistics_say(model):
    x = torch.randn(1500, 6)
    found = by_name(redundancy_report(model, x))
    hidden = torch.relu(model[0](x)).detach()
    wanted = of_moments(Moments().update(hidden))
    assert list(found) == ["0", "2", "5"]
    assert found["0"].activations.correlation.mean_abs == pytest.approx(neuronal_correlation(hidden).mean_abs, abs=1e-9)
    assert found["0"].activations.width == wanted.width
    torch.testing.assert_close(found["0"].activations.explained, wanted.explained, equal_nan=True)
    assert found["0"].weights.mean_abs == pytest.approx(weight_correlation(model[0].weight).item(), abs=1e-6)
    assert found["0"].n_samples == 1500 and found["0"].n_constant == 1 and found["0"].n_copies == 1
    assert [cluster.units for cluster in found["0"].clusters] == [(1, 3)]


def test_the_model_is_left_as_it_was(model):
    model[3].train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    redundancy_report(model, torch.randn(300, 6, generator=torch.Generator().manual_seed(1)))
    assert model[3].training and not any(module._forward_hooks for module in model.modules())
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(state, torch.get_rng_state())


def test_layers_that_do_not_fit_together_are_measured_in_several_passes(model, monkeypatch):
    x = torch.randn(600, 6).split(100)
    wanted = redundancy_report(model, x)
    monkeypatch.setattr(streaming, "HELD_BYTES", 4 * 12**2)
    steps = []
    found = redundancy_report(model, x, progress=lambda done, total: steps.append((done, total)))
    assert str(found) == str(wanted)
    assert steps[-1] == (15, 15) and steps == sorted(steps)  # two passes over six batches, three layers


def test_wide_layers_are_measured_at_some_of_their_units(model, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_UNITS", 5)
    found = by_name(redundancy_report(model, torch.randn(300, 6)))["0"]
    assert found.n_units == 12 and found.sampled == 5 and found.activations.n_units == 5
    assert "5 of its 12 units were measured" in found.notes[0]


def test_a_vocabulary_of_vectors_is_sampled():
    weight = torch.randn(MOST_VECTORS + 100, 2)
    layer = weight_redundancy_report({"head.weight": weight}).layers[0]
    assert layer.n_units == MOST_VECTORS + 100 and layer.sampled == MOST_VECTORS
    assert layer.weights.n_units == MOST_VECTORS and "were measured" in layer.notes[-1]


def test_a_layer_that_never_runs_is_left_out_and_the_calls_of_a_shared_one_are_pooled():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.shared(torch.relu(self.shared(x)))

    net, x = Net(), torch.randn(200, 4)
    report = redundancy_report(net, x)
    assert report.left_out["unused"] == "never ran"
    found = by_name(report)
    assert set(found) == {"shared"} and found["shared"].n_samples == 400 and found["shared"].weights is not None
    apart = by_name(redundancy_report(net, x, per_call=True))
    assert set(apart) == {"shared#0", "shared#1"} and apart["shared#1"].n_samples == 200
    first = torch.relu(net.shared(x))
    pooled = neuronal_correlation(torch.cat([first, net.shared(first)]).detach())
    assert found["shared"].activations.correlation.mean_abs == pytest.approx(pooled.mean_abs, abs=1e-6)


def test_an_expert_that_only_a_later_batch_uses_is_measured():
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts, self.head = nn.ModuleList([nn.Linear(4, 3), nn.Linear(4, 3)]), nn.Linear(3, 2)

        def forward(self, x):
            return self.head(torch.relu(self.experts[int(x.sum() > 0)](x)))

    low, high = -torch.rand(60, 4), torch.rand(60, 4)
    found = by_name(redundancy_report(Mixture(), [low, low, high]))
    assert {name: layer.n_samples for name, layer in found.items()} == {"experts.0": 120, "head": 180, "experts.1": 60}
    assert found["head"].is_output and not found["experts.1"].is_output
    assert found["experts.1"].weights is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_runs(dtype, model):
    report = redundancy_report(model.to(dtype), torch.randn(300, 6, dtype=dtype))
    assert all(math.isfinite(layer.activations.correlation.mean_abs) for layer in report.layers[:2])


def test_batches_of_a_loader_may_be_pairs_or_named(model):
    x, y = torch.randn(300, 6), torch.zeros(300)
    pairs = redundancy_report(model, list(zip(x.split(100), y.split(100), strict=True)))
    named = redundancy_report(model, [{"input": part} for part in x.split(100)])
    assert str(pairs) == str(named) == str(redundancy_report(model, x))


def test_data_that_the_model_cannot_take(model):
    with pytest.raises(ValueError, match=r"cannot take a batch of shape \(20, 5\), float32: ") as refused:
        redundancy_report(model, torch.randn(20, 5))
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="hold no batch"):
        redundancy_report(model, [])
    with pytest.raises(ValueError, match="no layer of the model matches"):
        redundancy_report(model, torch.randn(20, 6), "encoder*")


def test_few_samples_recommend_no_width(model):
    report = redundancy_report(model, torch.randn(8, 6))
    layer = by_name(report)["0"]
    assert math.isnan(layer.superfluous_share) and "too few samples" in str(report)
    assert as_plain(report)["layers"][0]["activations"]["width"] is None


def test_inputs_count_for_a_verdict_and_their_positions_do_not():
    net = nn.Sequential(nn.Conv1d(2, 3, 3))
    for n_inputs, enough in ((49, False), (50, True)):
        report = redundancy_report(net, torch.randn(n_inputs, 2, 102))
        (layer,) = report.layers
        assert layer.n_samples == 100 * n_inputs
        assert layer.enough_inputs == layer.width_is_known == enough
        assert ("too few samples" in str(report)) != enough
        assert (as_plain(report)["layers"][0]["activations"]["width"] is None) != enough


def test_text_sorts_by_redundancy_and_names_what_is_left_out(model):
    report = redundancy_report(model, torch.randn(1500, 6))
    text, shares = str(report), [layer.superfluous_share for layer in report.by_redundancy]
    assert shares == sorted(shares, reverse=True) and len(set(shares)) > 1
    lines = text.split("\n")
    assert lines[0].split()[:4] == ["layer", "units", "constant", "copies"] and lines[1].startswith(
        report.by_redundancy[0].layer
    )
    assert "left out, a bias, scale or statistic, no weights: 0.bias, 2.bias" in text
    weights = str(weight_redundancy_report(model))
    assert "debiased" not in weights and "WC" in weights


def test_plain_values_have_no_nan(model):
    with torch.no_grad():
        model[2].weight[0, 0] = math.nan
    report = redundancy_report(model, torch.randn(50, 6))
    text = json.dumps(as_plain(report), allow_nan=False)
    again = {layer["layer"]: layer for layer in json.loads(text)["layers"]}
    assert again["5"]["quantities"]["nc"] is None
    assert again["2"]["activations"]["nonfinite_units"] == [0]
    assert again["0"]["activations"]["duplicates"][0]["units"] == [1, 3]


def test_by_weights_alone_a_model_and_its_state_dict_agree(model):
    of_model, of_state = weight_redundancy_report(model), weight_redundancy_report(nn.DataParallel(model).state_dict())
    assert str(of_model).split("\n")[:4] == str(of_state).split("\n")[:4]


def test_nothing_to_measure_is_an_error():
    with pytest.raises(ValueError, match=r"no weight of a layer to measure \(bias: a bias, scale"):
        weight_redundancy_report({"bias": torch.ones(3)})
    with pytest.raises(ValueError, match="no weight of a layer to measure"):
        weight_redundancy_report(nn.ReLU())


def test_the_output_layer_is_the_last_with_weights(model):
    for report in (
        redundancy_report(model, torch.randn(100, 6)),
        redundancy_report(model, torch.randn(100, 6), ["0", "2:pre"]),
        weight_redundancy_report(model),
        weight_redundancy_report(model.state_dict()),
    ):
        assert [layer.layer for layer in report.layers if layer.is_output] == ["5"]


def test_quantities_are_read_by_name_and_a_misspelled_one_is_an_error(model):
    by_data = by_name(redundancy_report(model, torch.randn(100, 6)))
    by_weights = by_name(weight_redundancy_report(model))
    assert value_of(by_data["0"], "nc") == by_data["0"].activations.correlation.mean_abs
    assert value_of(by_data["0"], "constant") == 1 / 12
    assert math.isnan(value_of(by_weights["0"], "nc_low"))
    assert measured(by_data["0"], "nc_low") and not measured(by_weights["0"], "nc_low")
    assert measured(by_weights["0"], "wc") and not measured(by_data["5"], "nc")  # one unit
    assert measured(by_weights["5"], "copies")
    assert set(JUDGED) <= set(QUANTITIES)
    for read in (value_of, measured):
        with pytest.raises(ValueError, match="unknown quantity 'nc_lo'; did you mean 'nc_low'"):
            read(by_data["0"], "nc_lo")
        with pytest.raises(ValueError, match="unknown quantity 'dependence'"):  # known, but not to this report
            read(by_data["0"], "dependence")


def test_the_index_names_what_there_is():
    assert all(hasattr(redundancy, name) for name in redundancy.__all__)


def test_nothing_is_assumed_of_depthwise_filters_that_were_followed():
    class SamePadding(nn.Conv2d):
        def forward(self, x):
            return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))

    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU6(), SamePadding(8, 8, 3, groups=8), nn.ReLU6(), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        net[2].weight[5] = 2 * net[2].weight[3]
    x = torch.randn(60, 3, 5, 5)
    report = redundancy_report(net, x)
    assert report.assumptions() == []
    depthwise = by_name(report)["2"]
    maps = net[:4](x).detach().movedim(1, -1).reshape(-1, 8)
    assert depthwise.activations.correlation.mean_abs == pytest.approx(neuronal_correlation(maps).mean_abs, abs=1e-9)
    assert depthwise.n_units == 8 and depthwise.clusters == ()
    assert [str(site) for site in sites(net, example=x)] == ["0", "2", "4"] and not sites(net, example=x).assumed


def test_outputs_come_last_however_redundant_they_are():
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 40))
    report = redundancy_report(net, torch.randn(2000, 4))
    hidden, outputs = report.by_redundancy
    assert outputs.layer == "2" and outputs.superfluous_share > hidden.superfluous_share
