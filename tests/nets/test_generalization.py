"""The score: what it is made of, against the functions that it is of, and what it refuses."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from cofire.nets.generalization import generalization_score
from cofire.stats import neuronal_correlation, weight_correlation


def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(6, 12), nn.ReLU(), nn.Dropout()), *(nn.Linear(12, 8), nn.Tanh()), nn.Linear(8, 3)
    ).double()


def data(n_samples: int = 400) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_samples, 6, dtype=torch.float64, generator=generator)
    return x, torch.randint(3, (n_samples,), generator=generator)


def batches(x: Tensor, y: Tensor, size: int = 64) -> DataLoader:
    return DataLoader(TensorDataset(x, y), batch_size=size)


def test_each_number_is_that_of_its_function():
    model, (x, y) = classifier().train(), data()
    score = generalization_score(model, batches(x, y))
    model.eval()
    first = model[:2](x)
    second = model[:5](x)
    assert list(score.layers) == ["0", "3"]
    found = [summary.debiased for summary in (neuronal_correlation(first), neuronal_correlation(second))]
    assert [layer.neuronal_correlation for layer in score.layers.values()] == pytest.approx(found, rel=1e-10)
    wc = [weight_correlation(model[index].weight).item() for index in (0, 3)]
    assert [layer.weight_correlation for layer in score.layers.values()] == pytest.approx(wc, rel=1e-6)
    assert score.neuronal_correlation == pytest.approx(sum(found) / 2)
    assert score.weight_correlation == pytest.approx(sum(wc) / 2, rel=1e-6)
    assert score.last_neuronal_correlation == pytest.approx(found[1], rel=1e-10)
    low, high = score.layers["0"].interval
    assert low < found[0] < high
    weights = [model[index].weight for index in (0, 3, 5)]
    assert score.parameter_norm == pytest.approx(math.sqrt(sum(weight.square().sum().item() for weight in weights)))


def test_margin_and_loss_against_loops():
    model, (x, y) = classifier(), data(100)
    score = generalization_score(model, batches(x, y, 7))
    logits = model.eval()(x).detach()
    margins = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        margins.append(row[label] - max(value for index, value in enumerate(row) if index != label))
    margins.sort()
    place = 0.1 * 99
    expected = margins[9] + (place - 9) * (margins[10] - margins[9])
    assert score.margin == pytest.approx(expected, rel=1e-12)
    assert score.loss == pytest.approx(functional.cross_entropy(logits, y).item(), rel=1e-12)


def test_batches_do_not_matter_and_the_model_stays_as_it_was():
    model, (x, y) = classifier().train(), data()
    model[0].eval()
    random = torch.get_rng_state()
    one, many = generalization_score(model, [(x, y)]), generalization_score(model, batches(x, y, 33))
    assert one.neuronal_correlation == pytest.approx(many.neuronal_correlation, rel=1e-12)
    assert (one.margin, one.loss) == pytest.approx((many.margin, many.loss))
    assert torch.equal(torch.get_rng_state(), random)
    assert (model.training, model[0].training) == (True, False)


def test_without_labels_there_is_no_margin_and_no_loss():
    score = generalization_score(classifier(), data()[0])
    assert math.isnan(score.margin)
    assert math.isnan(score.loss)
    assert score.neuronal_correlation > 0


def test_the_pattern_chooses_and_convolutions_count_positions():
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    x = torch.randn(50, 1, 8, 8)
    assert list(generalization_score(model, x).layers) == ["0", "2"]
    assert list(generalization_score(model, x, pattern=["2", "4"]).layers) == ["2", "4"]


def test_a_layer_that_runs_twice_counts_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.head(self.body(self.body(x).relu()).relu())

    score = generalization_score(Twice().double(), data()[0])
    assert list(score.layers) == ["body"]
    assert math.isfinite(score.neuronal_correlation)


def test_dead_layers_have_no_correlation_and_are_not_called_good():
    model, (x, y) = classifier(), data()
    with torch.no_grad():
        model[0].weight.zero_()
    score = generalization_score(model, [(x, y)])
    assert math.isnan(score.neuronal_correlation)
    assert math.isfinite(score.margin)


@pytest.mark.parametrize(
    ("model", "batch", "message"),
    [
        (nn.Sequential(nn.Linear(6, 3)), data(), "found no layer with weights to score"),
        (classifier(), (data()[0], torch.rand(400)), "whole numbers"),
        (classifier(), (data()[0], data()[1][:, None]), "whole numbers"),
        (classifier(), (data()[0], data()[1] + 5), "labels must be from 0 to 2"),
    ],
)
def test_what_cannot_be_scored_is_said(model, batch, message):
    with pytest.raises(ValueError, match=message):
        generalization_score(model.double(), [batch])


def test_an_iterator_is_refused():
    x, y = data()
    with pytest.raises(ValueError, match="only once"):
        generalization_score(classifier(), iter([(x, y)]))
