import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets import correlation_penalty
from cofire.papers.training.datasets import Dataset, digits
from cofire.papers.training.loop import OPTIMIZERS, Settings, batches
from cofire.papers.training.models import mlp
from cofire.papers.training.stacked_training import Penalized, Watch, correlation_penalties, fit
from cofire.record import correlation, weight_correlation

SEEDS = (3, 0, 7)
ADAM = Settings(epochs=2, batch_size=32, learning_rate=0.01)
SGD = Settings(epochs=2, batch_size=32, optimizer="sgd", learning_rate=0.05, momentum=0.8, weight_decay=1e-2)
PLAIN, DROPPED, NORMED = {}, {"dropout": 0.3}, {"batch_norm": True, "init": "torch", "activation": "leaky_relu"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Digits in float64: where a gradient is 0 up to rounding, Adam steps by the sign of the rounding error."""
    whole = digits()
    parts = (whole.train_x[:150].double(), whole.train_y[:150], whole.test_x[:50].double(), whole.test_y[:50])
    return Dataset("digits", *parts, n_classes=10)


def networks(**options) -> list[nn.Sequential]:
    return [mlp([64, 12, 8, 10], seed=seed, **options).double() for seed in SEEDS]


def trained_alone(model: nn.Module, data: Dataset, settings: Settings, *, seed: int, weight: float) -> nn.Module:
    """Train one network in a plain PyTorch loop."""
    extra = {"momentum": settings.momentum} if settings.optimizer == "sgd" else {}
    optimizer = OPTIMIZERS[settings.optimizer](
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, **extra
    )
    kept: list[Tensor] = []
    for name in ("act1", "act2"):
        model.get_submodule(name).register_forward_hook(lambda layer, inputs, output: kept.append(output))
    own = Settings(**{**vars(settings), "seed": seed})
    for _, (x, y) in batches(data.train_x, data.train_y, own):
        kept.clear()
        loss = functional.cross_entropy(model(x), y)
        if weight:
            loss = loss + weight * sum(correlation_penalty(activations) for activations in kept)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def weights(models: Sequence[nn.Module]) -> list[Tensor]:
    return [torch.cat([part.flatten() for part in model.state_dict().values()]) for model in models]


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("options", [PLAIN, DROPPED, NORMED], ids=["plain", "dropout", "batch norm"])
@pytest.mark.parametrize("settings", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_network_learns_what_it_learns_alone(data, settings, options, weight) -> None:
    models, twins = networks(**options), networks(**options)
    penalized = Penalized(correlation_penalties, ("act1", "act2"), weight) if weight else None
    before = weights(models)
    fit(models, data, settings, seeds=SEEDS, penalized=penalized)
    alone = [
        trained_alone(twin, data, settings, seed=seed, weight=weight) for twin, seed in zip(twins, SEEDS, strict=True)
    ]
    for mine, theirs, first in zip(weights(models), weights(alone), before, strict=True):
        assert float((mine - first).abs().max()) > 0.01  # training changed the weights
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def test_networks_that_cannot_be_stacked_are_trained_one_after_the_other(data) -> None:
    torch.manual_seed(1)
    first = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)).double()
    models = [copy.deepcopy(first) for _ in SEEDS]
    for name in ("act1", "act2"):
        for model in [first, *models]:
            model.add_module(name, nn.Identity())
    rows = fit(models, data, ADAM, seeds=SEEDS, penalized=Penalized(correlation_penalties, ("act1",), 0.1))
    own = Settings(**{**vars(ADAM), "seed": SEEDS[1]})
    optimizer = torch.optim.Adam(first.parameters(), lr=own.learning_rate)
    for _, (x, y) in batches(data.train_x, data.train_y, own):
        logits = first(x)
        optimizer.zero_grad()
        (functional.cross_entropy(logits, y) + 0.1 * correlation_penalty(logits)).backward()
        optimizer.step()
    torch.testing.assert_close(weights([models[1]])[0], weights([first])[0], rtol=1e-6, atol=1e-9)
    assert {made.seed for made in rows} == set(SEEDS)


def test_rows_are_the_measures_and_scores_of_each_seed(data) -> None:
    watch = Watch([correlation(sites="hidden*"), weight_correlation()], probe=data.test_x, every=[0, 3], scored=data)
    rows = fit(networks(), data, ADAM, seeds=SEEDS, watch=watch)
    assert {(made.step, made.seed) for made in rows if made.measure == "nc"} == {(t, s) for t in (0, 3) for s in SEEDS}
    scored = [made for made in rows if made.measure == "loss"]
    assert [made.epoch for made in scored] == [0] * 3 + [1] * 3 + [2] * 3
    assert scored[-1].value < scored[2].value and scored[-1].seed == scored[2].seed
    keys = [(made.seed, made.step, made.site, made.measure, made.parameters) for made in rows]
    assert len(set(keys)) == len(keys)


def test_measures_change_nothing(data) -> None:
    watched, alone = networks(**DROPPED), networks(**DROPPED)
    fit(watched, data, ADAM, seeds=SEEDS, watch=Watch([correlation()], probe=data.test_x, every=1, scores_every=2))
    fit(alone, data, ADAM, seeds=SEEDS, watch=Watch(scores_every=[0]))
    assert all(torch.equal(a, b) for a, b in zip(weights(watched), weights(alone), strict=True))


@pytest.mark.parametrize("n_constant", [0, 1, 4])
def test_the_stacked_penalty_is_that_of_each_network(n_constant: int) -> None:
    x = torch.randn(3, 20, 5, dtype=torch.float64) + 5
    x[:, :, :n_constant] = 5.0
    mine, theirs = (x.clone().requires_grad_() for _ in range(2))
    found = correlation_penalties(mine)
    expected = torch.stack([correlation_penalty(part) for part in theirs])
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_wrong_arguments_are_explained(data) -> None:
    with pytest.raises(ValueError, match=r"one seed, got 3 networks and 1 seed$"):
        fit(networks(), data, ADAM, seeds=[0])
    with pytest.raises(ValueError, match="measures need a probe"):
        fit(networks(), data, ADAM, seeds=SEEDS, watch=Watch([correlation()]))
