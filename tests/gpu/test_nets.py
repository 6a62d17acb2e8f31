"""Networks on a GPU: captured, followed, penalized, inspected and made smaller where they are."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from on_device import numbers, stays_on_device
from torch import Tensor, nn

import cofire
from cofire.nets import (
    correlation_penalty,
    decov_penalty,
    dropout_report,
    vicreg_covariance_penalty,
    weight_correlation_penalty,
)
from cofire.nets.generalization import generalization_score
from cofire.nets.redundancy import redundancy_report, weight_redundancy_report
from cofire.nets.shrinking import shrink
from cofire.record import Run, correlation, dependence, epsilon, weight_correlation
from cofire.stats import Moments, neuronal_correlation


def perceptron() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(20, 48), nn.ReLU(inplace=True), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 5))


def convolutional() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 5),
    ).eval()


def recurrent() -> nn.Module:
    torch.manual_seed(1)
    return nn.LSTM(20, 12, num_layers=2, batch_first=True)


def transformer() -> nn.Module:
    torch.manual_seed(1)
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False
    ).eval()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (perceptron, (300, 20)),
    "convolutional": (convolutional, (60, 3, 8, 8)),
    "recurrent": (recurrent, (40, 7, 20)),
    "transformer": (transformer, (40, 9, 16)),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    make, shape = NETWORKS[request.param]
    return make(), torch.randn(shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("stage", ["pre", "post"])
def test_captures_are_the_cpus(network: tuple[nn.Module, Tensor], stage: Any) -> None:
    model, x = network
    with torch.no_grad(), cofire.capture(model, stage=stage) as expected:
        model(x)
    there = copy.deepcopy(model).cuda()
    plain = there(x.cuda())
    state = torch.cuda.get_rng_state()
    with torch.no_grad(), stays_on_device(), cofire.capture(there, stage=stage) as found:
        captured = there(x.cuda())
    assert torch.equal(state, torch.cuda.get_rng_state())
    for ours, theirs in zip(numbers(captured), numbers(plain), strict=True):
        assert torch.equal(ours, theirs), "capturing changes the output"
    assert list(found) == list(expected) != []
    for name in expected:
        assert found[name].is_cuda
        torch.testing.assert_close(found[name].cpu(), expected[name], rtol=1e-3, atol=1e-4)


PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "correlation": correlation_penalty,
    "correlation, debiased": lambda x: correlation_penalty(x, debiased=True),
    "correlation, top": lambda x: correlation_penalty(x, top=0.1),
    "decov": decov_penalty,
    "vicreg": vicreg_covariance_penalty,
    "weights": weight_correlation_penalty,
}


@pytest.mark.parametrize("shape", [(64, 200), (200, 64)])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_and_their_gradients_are_the_cpus(name: str, shape: tuple[int, int]) -> None:
    here = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    there = here.detach().cuda().requires_grad_()
    expected = PENALTIES[name](here)
    expected.backward()
    with stays_on_device():
        found = PENALTIES[name](there)
        found.backward()
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-8, atol=1e-10)
    assert here.grad is not None and there.grad is not None
    torch.testing.assert_close(there.grad.cpu(), here.grad, rtol=1e-6, atol=1e-10)


def test_a_penalty_attached_to_a_model_lowers_its_correlation() -> None:
    x = torch.randn(256, 20, generator=torch.Generator().manual_seed(4)).cuda()
    found = []
    for weight in (0.0, 1.0):
        model = perceptron().cuda()
        penalty = cofire.CorrelationPenalty(model, ["0", "2"], weight=weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            (model(x).square().mean() + penalty()).backward()
            optimizer.step()
        penalty.close()
        with torch.no_grad(), cofire.capture(model, "2") as acts:
            model(x)
        found.append(neuronal_correlation(acts["2"]).mean_abs)
    assert found[1] < 0.7 * found[0]


def follow(model: nn.Module, run: Path, x: Tensor, y: Tensor) -> dict[tuple[int, str, str], float]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    measures = [correlation(), epsilon(), weight_correlation(), dependence(max_pairs=30)]
    tracker = cofire.Tracker(model, measures, run=run, every=5)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        tracker.step()
    tracker.close()
    return {(row.step, row.site, row.measure): row.value for row in Run(run).rows()}


def test_a_followed_training_has_the_cpus_rows(tmp_path: Path) -> None:
    x = torch.randn(128, 20, generator=torch.Generator().manual_seed(5))
    y = torch.randint(5, (128,), generator=torch.Generator().manual_seed(6))
    here = follow(perceptron(), tmp_path / "cpu", x, y)
    there = follow(perceptron().cuda(), tmp_path / "gpu", x.cuda(), y.cuda())
    assert there.keys() == here.keys()
    assert len(here) > 50
    # thresholds are by shuffles, which are the device's own
    compared = [key for key in here if "threshold" not in key[2]]
    assert [there[key] for key in compared] == pytest.approx(
        [here[key] for key in compared], rel=0.02, abs=0.02, nan_ok=True
    )


def test_following_leaves_the_training_as_it_was(tmp_path: Path) -> None:
    x = torch.randn(128, 20, generator=torch.Generator().manual_seed(5)).cuda()
    y = torch.randint(5, (128,), generator=torch.Generator().manual_seed(6)).cuda()
    followed, alone = perceptron().cuda(), perceptron().cuda()
    follow(followed, tmp_path / "run", x, y)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.05)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(alone(x), y).backward()
        optimizer.step()
    for ours, theirs in zip(followed.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_memory_is_flat_over_many_batches() -> None:
    model, x = perceptron().cuda(), torch.randn(64, 20, device="cuda")
    state, held = Moments(), []
    for _ in range(600):
        with torch.no_grad(), cofire.capture(model, "2") as acts:
            model(x)
        state = state.update(acts["2"])
        held.append(torch.cuda.memory_allocated())
    # the buffer and the sketch fill and empty; 400 batches that stayed would be 3 MB
    assert max(held[200:]) - min(held[200:]) < 1 << 19


def test_redundancy_is_the_cpus() -> None:
    model, x = convolutional(), torch.randn(200, 3, 8, 8, generator=torch.Generator().manual_seed(7))
    here = redundancy_report(model, x)
    there = redundancy_report(copy.deepcopy(model).cuda(), x.cuda())
    assert [layer.layer for layer in there.layers] == [layer.layer for layer in here.layers]
    for ours, theirs in zip(there.layers, here.layers, strict=True):
        assert ours.activations is not None and theirs.activations is not None
        assert ours.activations.correlation.mean_abs == pytest.approx(theirs.activations.correlation.mean_abs, abs=1e-5)
        assert ours.activations.width == theirs.activations.width
    weights = weight_redundancy_report(copy.deepcopy(model).cuda())
    moved = weight_redundancy_report(model.state_dict(), device="cuda")
    for ours, theirs in zip(weights.layers, weight_redundancy_report(model).layers, strict=True):
        assert ours.weights is not None and theirs.weights is not None
        assert ours.weights.mean_abs == pytest.approx(theirs.weights.mean_abs, abs=1e-6)
    assert len(moved.layers) == len(weights.layers)


def test_smaller_networks_are_the_cpus() -> None:
    model, x = perceptron(), torch.randn(400, 20, generator=torch.Generator().manual_seed(8))
    here = shrink(model, x, keep=0.5)
    there = shrink(copy.deepcopy(model).cuda(), x.cuda(), keep=0.5)
    assert [cut.kept for cut in there.cuts.values()] == [cut.kept for cut in here.cuts.values()]
    torch.testing.assert_close(there.model(x.cuda()).cpu(), here.model(x), rtol=1e-3, atol=1e-3)
    folded = shrink(copy.deepcopy(model).cuda(), x.cuda())
    torch.testing.assert_close(folded.model(x.cuda()).cpu(), model(x), rtol=1e-3, atol=1e-3)


def test_dropout_report_and_generalization_score() -> None:
    model = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Dropout(0.5), nn.Linear(40, 5)).cuda()
    x = torch.randn(2000, 20, device="cuda")
    row = dropout_report(model, x.split(500)).rows[0]
    assert all(one.isfinite().all() for one in numbers(row))
    labels = torch.arange(2000, device="cuda") % 5
    score = generalization_score(model, [(x, labels)])
    assert 0 < score.neuronal_correlation < 1
