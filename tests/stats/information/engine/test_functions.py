"""Functions that turn often, and levels that determine others, against known answers."""

import math

import pytest
import torch

from cofire.stats import dependence_score, mutual_information


def unit(n: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (40 * x).sin(), lambda x: (60 * x).cos(), lambda x: (10 * x) % 1, lambda x: x**3 - 3 * x,
        torch.nn.functional.gelu, lambda x: x.abs() + 1e-9 * x,
    ],
)  # fmt: skip
@pytest.mark.parametrize("n", [1000, 20_000])
def test_smooth_functions_determine(function, n) -> None:
    x = unit(n)
    for scale, offset in ((1.0, 0.0), (1e-5, 3.0), (1e6, -1e6)):
        assert mutual_information(x, scale * function(x) + offset) == math.inf
        assert mutual_information(scale * function(x) + offset, x) == math.inf


def test_noise_does_not() -> None:
    x = unit(1000)
    for noise in (0.02, 0.1):
        noisy = (10 * x).sin() + noise * torch.randn(1000, dtype=torch.float64)
        assert mutual_information(x, noisy).isfinite()
    for n in (50, 500, 1000):
        assert dependence_score(torch.randn(n, 60, dtype=torch.float64), method="default").matrix.isinf().sum() == 0


@pytest.mark.parametrize("n_levels", [15, 25, 30, 100])
@pytest.mark.parametrize("n", [1000, 3000])
def test_levels_that_are_renamed(n_levels, n) -> None:
    x = torch.randint(n_levels, (n,)).double()
    names = torch.randperm(n_levels).double()
    found = mutual_information(x, names[x.long()]).item()
    share = torch.unique(x, return_counts=True)[1] / n
    entropy = -(share * share.log()).sum().item() + (len(share) - 1) / (2 * n)
    assert found == pytest.approx(entropy, abs=1e-6)
    assert found == pytest.approx(math.log(n_levels), abs=0.03)
    assert mutual_information(names[x.long()], x).item() == pytest.approx(found, abs=1e-12)


def test_levels_that_are_joined() -> None:
    x = torch.randint(30, (3000,)).double()
    assert mutual_information(x, x % 5).item() == pytest.approx(math.log(5), abs=0.01)
    assert mutual_information((x - 15).abs(), x).item() == pytest.approx(2.76, abs=0.03)


def test_levels_that_agree_by_chance_determine_nothing() -> None:
    x, rare = torch.arange(60).double() % 30, torch.zeros(60, dtype=torch.float64)
    rare[7] = rare[37] = 1.0
    assert abs(mutual_information(x, rare).item()) < 0.2
    independent = torch.stack([torch.randint(30, (3000,)), torch.randint(30, (3000,))], 1).double()
    assert abs(mutual_information(*independent.T).item()) < 0.05
