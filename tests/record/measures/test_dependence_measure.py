"""Dependence as a measure: what the statistics say, at any site of a real network, and gaps where they refuse."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from cofire.record import NotMeasured, Run, Tracker, dependence
from cofire.stats import dependence_score, disagreement, nonlinear_excess
from cofire.stats.truth import RectifiedNormal


def sample(n: int = 300, d: int = 6, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(n, 1, generator=generator)
    return torch.relu(shared + torch.randn(n, d, generator=generator))


class TestRows:
    def test_they_are_what_the_statistics_say(self):
        x = sample()
        values, score = dependence().values((x,)), dependence_score(x, method="default")
        assert values["dependence"] == score.mean.item()
        assert values["dependence_standard_error"] == score.standard_error.item()
        assert values["dependence_pairs"] == 15 and values["dependence_determined"] == 0

    def test_nonlinear_excess_is_the_mean_over_pairs(self):
        x = sample(d=3).double()
        expected = np.mean([nonlinear_excess(x[:, i], x[:, j]).item() for i, j in ((0, 1), (0, 2), (1, 2))])
        assert dependence().values((x,))["nonlinear_excess"] == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("method", ["3h", "ksg"])
    def test_other_methods(self, method):
        x = torch.randn(300, 5, dtype=torch.float64)
        found = dependence(method=method, n_neighbors=4).values((x,))["dependence"]
        assert found == dependence_score(x, 4, method).mean.item()

    def test_pairs_that_determine_each_other_are_counted_and_left_out(self):
        x = torch.randn(300, 3)
        values = dependence().values((torch.cat([x, x[:, :1]], 1),))
        assert values["dependence_determined"] == 1 and values["dependence_pairs"] == 6
        assert math.isfinite(values["dependence"]) and math.isfinite(values["nonlinear_excess"])

    def test_independent_units_exceed_the_threshold_as_often_as_said(self):
        measure, over = dependence(), 0
        for seed in range(40):
            x = torch.randn(60, 8, generator=torch.Generator().manual_seed(seed))
            values = measure.values((torch.relu(x),))
            over += values["dependence"] > values["dependence_threshold"]
        assert over <= 6  # 2 expected

    def test_a_truth_in_closed_form(self):
        pair = RectifiedNormal(0.6)
        x = pair.sample(1000, torch.Generator().manual_seed(0))
        values = dependence().values((x,))
        assert abs(values["dependence"] - pair.mutual_information) < 0.05
        assert values["dependence"] > values["dependence_threshold"]

    @pytest.mark.parametrize("x", [torch.ones(50, 4), torch.randn(50, 1)])
    def test_without_a_pair_there_is_nothing_to_say(self, x):
        values = dependence().values((x,))
        assert values.pop("dependence_pairs") == values.pop("dependence_determined") == 0
        assert all(math.isnan(value) for value in values.values())

    def test_max_samples_and_max_pairs_are_limits(self):
        measure = dependence(max_pairs=5, max_samples=100)
        (taken,) = measure.limited((sample(),))
        assert len(taken) == 100 and measure.values((taken,))["dependence_pairs"] == 5

    def test_same_bits_again_and_nothing_touched(self):
        x, state = sample(), torch.get_rng_state()
        before = x.clone()
        assert dependence().values((x,)) == dependence().values((x,))
        assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state())


class TestRefusals:
    @pytest.mark.parametrize(
        ("x", "method", "why"),
        [
            (torch.randn(3, 4), "default", "3"),
            (torch.full((50, 4), torch.nan), "default", "NaN"),
            (sample(), "ksg", "atom"),
            (torch.empty(0, 4), "default", "0"),
        ],
    )
    def test_samples_that_are_refused_leave_a_gap_and_no_arrays(self, x, method, why):
        measure = dependence(method=method)
        with pytest.warns(NotMeasured, match=why):
            values = measure.values((x,), site="fc")
        assert all(math.isnan(value) for value in values.values()) and len(values) == 6
        assert measure.array_values((x,)) == {}

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"method": "guess"}, "method must be one of"),
            ({"n_neighbors": 0}, "n_neighbors"),
            ({"max_pairs": 0}, "max_pairs must be a whole number of at least 1"),
            ({"map_units": 1}, "map_units"),
            ({"map_units": 2.5}, "map_units"),
            ({"max_samples": 0}, "max_samples"),
            ({"stage": "inside"}, "stage"),
        ],
    )
    def test_wrong_arguments_are_refused_at_once(self, arguments, said):
        with pytest.raises(ValueError, match=said):
            dependence(**arguments)


class TestArrays:
    def test_they_are_the_matrices_of_evenly_spaced_units(self):
        x = sample(d=8)
        arrays = dependence(map_units=4).array_values((x,))
        assert arrays["dependence_units"].tolist() == [0, 2, 4, 6]
        found = disagreement(x[:, ::2], method="default")
        for name in ("information", "correlation", "difference"):
            key = "dependence" if name == "information" else f"dependence_{name}"
            expected = getattr(found, name).to(torch.float16).numpy()
            np.testing.assert_array_equal(arrays[key], expected)
        assert arrays["dependence_chance"].tolist() == [found.chance, found.chance_of_one]


@pytest.mark.parametrize("probe", [False, True])
def test_a_tracker_records_it_at_every_kind_of_site(probe, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 5, 3)
            self.rnn = nn.GRU(5, 4, batch_first=True)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.out = nn.Linear(4, 3)

        def forward(self, x):
            x = torch.relu(self.conv(x)).transpose(1, 2)
            x, _ = self.rnn(x)
            return torch.tanh(self.out(self.attention(x, x, x)[0])).mean(1)

    model = Net()
    options = {"probe": torch.randn(20, 2, 9)} if probe else {}
    measures = [dependence(map_units=4), dependence(stage="pre", map_units=3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Tracker(model, measures, run=tmp_path / "run", every=1, **options) as tracker:
            model(torch.randn(20, 2, 9)).sum().backward()
            tracker.step()
    with Run.open(tmp_path / "run") as run:
        rows = run.rows(measure="dependence", step=1)
        assert {row.site.removesuffix(":pre") for row in rows} == {"conv", "rnn", "attention", "out"}
        assert all(math.isfinite(row.value) for row in rows) and len(rows) == 8
        assert max(row.n_samples for row in rows) == 140  # 20 samples at 7 positions
        assert run.array("conv", "dependence").shape == (4, 4)


def test_units_without_a_drawn_pair_are_not_counted_as_seen():
    x = torch.randn(60, 30, generator=torch.Generator().manual_seed(0))
    few = dependence(max_pairs=5).values((x,))
    assert few["dependence_pairs"] == 5 and few["n_units_seen"] <= 10
    assert "n_units_seen" not in dependence(max_pairs=None).values((x,))
