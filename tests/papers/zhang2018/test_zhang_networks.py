import math

import pytest
import torch

from cofire.papers.training.datasets import digits
from cofire.papers.zhang2018.fig2_entropy_width import FIG2
from cofire.papers.zhang2018.zhang_networks import HIDDEN, LAYERS, balanced_sample, dependence, networks_of, run


def test_independent_normal_units_score_the_papers_bias() -> None:
    x = torch.randn(1000, 60, generator=torch.Generator().manual_seed(0))
    found = dependence(x, thresholds=True)
    assert found["entropy"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.03)
    assert found["iota"] == pytest.approx(0.012, abs=0.025)  # pairs share units, whose entropies scatter by .033
    assert found["threshold"] == pytest.approx(found["iota"], abs=0.01)
    assert found["n_left_out"] == 0


def test_units_without_a_density_are_left_out_and_counted() -> None:
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    tied = torch.cat([x[:, :1].clamp(min=0), torch.ones(1000, 1), x], 1)
    found = dependence(tied)
    assert found["n_left_out"] == 2 and found["entropy"] == dependence(x)["entropy"]
    assert math.isnan(dependence(tied[:, :3])["iota"])


def test_the_sample_has_as_many_of_each_class() -> None:
    data = digits()
    assert len(balanced_sample(data)) == 1000
    assert torch.equal(balanced_sample(data), balanced_sample(data))
    assert len(balanced_sample(data.first(50))) == 50


def test_a_task_records_every_layer_before_and_after() -> None:
    task = FIG2.tasks("smoke", seeds=1)[-1]
    rows = list(run(task))
    found = {(row.epoch, row.site) for row in rows if row.measure == "entropy"}
    assert found == {(epoch, layer) for epoch in (0, 8) for layer in LAYERS}
    assert {row.measure for row in rows if row.site == ""} == {"loss", "accuracy", "test_loss", "test_accuracy"}
    (network,) = networks_of(task, digits())
    assert [network.get_submodule(layer).out_features for layer in HIDDEN] == [5] * 4
