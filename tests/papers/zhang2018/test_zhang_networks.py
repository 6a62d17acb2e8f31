import math

import pytest
import torch

from cofire.papers.training.datasets import digits
from cofire.papers.training.loop import Settings
from cofire.papers.training.stacked_training import Watch, fit
from cofire.papers.zhang2018.fig2_entropy_width import FIG2
from cofire.papers.zhang2018.zhang_networks import (
    HIDDEN,
    INDEPENDENT_GROUPS,
    LAYERS,
    balanced_sample,
    dependence,
    networks_of,
    run,
    unit_entropies,
)


def measures(x: torch.Tensor, *, thresholds: bool = False) -> dict[str, float]:
    x = x.double()
    return dependence(x, unit_entropies(x), thresholds=thresholds)


def test_independent_normal_units_score_the_papers_bias() -> None:
    x = torch.randn(1000, 60, generator=torch.Generator().manual_seed(0))
    found = measures(x, thresholds=True)
    assert found["entropy"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.03)
    assert found["iota"] == pytest.approx(0.012, abs=0.025)  # pairs share units, whose entropies scatter by .033
    assert found["threshold"] == pytest.approx(found["iota"], abs=0.01)
    assert found["n_left_out"] == 0
    assert found["negentropy"] == pytest.approx(0, abs=0.01)
    assert found["total_correlation"] == pytest.approx(INDEPENDENT_GROUPS, abs=0.05)


def test_negentropy_is_the_divergence_from_a_normal_distribution() -> None:
    """Of a Laplace distribution: log(2πe·2)/2 − log(2e) = .0724; of a uniform one: .1765."""
    uniform = torch.rand(1000, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    laplace = -uniform.sign() * (1 - 2 * uniform.abs()).log()
    assert measures(7 * uniform)["negentropy"] == pytest.approx(0.1765, abs=0.01)
    assert measures(laplace + 3)["negentropy"] == pytest.approx(0.0724, abs=0.02)


def test_four_equal_samples_leave_no_distance_to_the_third_neighbor() -> None:
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    x[:4, 0] = 0.5
    assert measures(x)["n_left_out"] == 1 and math.isfinite(measures(x)["iota"])
    assert math.isnan(measures(x[:, :1])["negentropy"])


def test_units_without_a_density_are_left_out_and_counted() -> None:
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    tied = torch.cat([x[:, :1].clamp(min=0), torch.ones(1000, 1), x], 1)
    found = measures(tied)
    assert found["n_left_out"] == 2 and found["entropy"] == measures(x)["entropy"]
    assert math.isnan(measures(tied[:, :3])["iota"])


def test_the_sample_has_as_many_of_each_class() -> None:
    data = digits()
    assert len(balanced_sample(data)) == 1000
    assert torch.equal(balanced_sample(data), balanced_sample(data))
    assert len(balanced_sample(data.first(50))) == 50


def test_a_task_records_every_layer_over_the_epochs() -> None:
    task = FIG2.tasks("smoke", seeds=range(1))[-1]
    rows = list(run(task))
    found = {(row.epoch, row.site) for row in rows if row.measure == "entropy"}
    assert found == {(epoch, layer) for epoch in (0, 1, 2, 4, 8) for layer in LAYERS}
    assert {row.measure for row in rows if row.site == ""} == {"loss", "accuracy", "test_loss", "test_accuracy"}
    assert {row.value for row in rows if row.measure == "shift" and row.epoch == 0} <= {0.0}
    assert {row.epoch for row in rows if row.measure == "threshold"} <= {0, 8}
    (network,) = networks_of(task, digits())
    assert [network.get_submodule(layer).out_features for layer in HIDDEN] == [5] * 4


def test_training_in_stretches_learns_as_training_in_one_go() -> None:
    task = FIG2.tasks("smoke", seeds=range(1))[2]
    accuracy = [row.value for row in run(task) if row.measure == "accuracy" and row.epoch == 8]
    (network,) = networks_of(task, digits())
    settings = Settings.of(task.values, optimizer="sgd")
    scores = fit([network], digits().first(1000), settings, seeds=[0], watch=Watch())
    whole = [row.value for row in scores if row.measure == "accuracy" and row.epoch == 8]
    assert accuracy == pytest.approx(whole, abs=0.05)
