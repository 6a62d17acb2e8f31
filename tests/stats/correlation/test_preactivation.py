import naive_weights as naive
import numpy as np
import pytest
import torch

from cofire.stats import truth
from cofire.stats.correlation import preactivation
from cofire.stats.correlation.preactivation import (
    epsilon,
    preactivation_correlation,
    preactivation_neuronal_correlation,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def test_equals_what_is_measured_on_the_same_samples():
    x = normal(500, 12) @ normal(12, 12, seed=1) + 100
    weight, bias = normal(20, 12, seed=2), normal(20, seed=3)
    measured = torch.corrcoef((x @ weight.T + bias).T)
    predicted = preactivation_correlation(weight, torch.cov(x.T))
    torch.testing.assert_close(predicted, measured, rtol=0, atol=1e-10)
    assert torch.equal(predicted.diagonal(), torch.ones(20, dtype=torch.float64))
    pairs = measured[torch.ones(20, 20).triu(1).bool()]
    expected = pairs.abs().mean().item()
    assert preactivation_neuronal_correlation(weight, torch.cov(x.T)).item() == pytest.approx(expected, abs=1e-10)


def test_against_sixty_digits():
    weight, root = normal(4, 6), normal(6, 6, seed=1)
    covariance = root @ root.T
    expected = naive.preactivation_correlation(weight.numpy(), covariance.numpy())
    np.testing.assert_allclose(preactivation_correlation(weight, covariance), expected, atol=1e-13)


@pytest.mark.parametrize("n_units", [2, 255, 256, 257, 600])
def test_tiles_agree_with_the_matrix(n_units):
    weight, covariance = normal(n_units, 4), truth.MultivariateNormal.equicorrelated(4, 0.3).covariance
    rho = preactivation_correlation(weight, covariance)
    expected = rho[torch.ones(n_units, n_units).triu(1).bool()].abs().mean().item()
    assert preactivation_neuronal_correlation(weight, covariance).item() == pytest.approx(expected, abs=1e-12)


def test_white_input_gives_the_cosine():
    weight = normal(5, 7)
    unit = torch.nn.functional.normalize(weight)
    torch.testing.assert_close(preactivation_correlation(weight, 3 * torch.eye(7)), unit @ unit.T, rtol=0, atol=1e-14)


def test_a_sum_of_equicorrelated_units():
    covariance = truth.MultivariateNormal.equicorrelated(4, 0.5).covariance
    weight = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])  # cov 4·.5, var 2 + 2·.5
    assert preactivation_neuronal_correlation(weight, covariance).item() == pytest.approx(2 / 3)


def test_units_without_variance_are_left_out():
    covariance = torch.full((2, 2), 0.3, dtype=torch.float64)  # one input twice, whose difference is constant
    weight = torch.tensor([[1.0, 0.0], [0.1, -0.1], [0.7, 0.2], [0.0, 0.0], [torch.nan, 1.0]])
    rho = preactivation_correlation(weight, covariance)
    assert rho.isnan().all(0).tolist() == [False, True, False, True, True]
    assert preactivation_neuronal_correlation(weight, covariance).item() == pytest.approx(1.0)
    assert preactivation_neuronal_correlation(weight[:2], covariance).isnan()


def test_a_small_variance_is_not_none():
    covariance = torch.diag(torch.tensor([1.0, 1e-20], dtype=torch.float64))
    rho = preactivation_correlation(torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, -2.0]]), covariance)
    assert rho[0, 2].item() == pytest.approx(-1.0)


def test_kernels_take_the_covariance_of_patches():
    weight = normal(3, 2, 2, 2)
    covariance = torch.cov(normal(8, 100, seed=1))
    torch.testing.assert_close(
        preactivation_correlation(weight, covariance), preactivation_correlation(weight.flatten(1), covariance)
    )


def test_other_types_are_taken():
    weight, covariance = normal(4, 3).float(), torch.eye(3)
    expected = preactivation_correlation(weight, covariance)
    assert expected.dtype == torch.float64
    assert torch.equal(preactivation_correlation(weight.numpy(), covariance.numpy()), expected)


def test_tile_width_is_that_of_all_reductions(monkeypatch):
    monkeypatch.setattr(preactivation, "blocks", lambda n, device: (-(-n // 3), 3))
    weight, covariance = normal(10, 4), torch.eye(4)
    rho = preactivation_correlation(weight, covariance)
    expected = rho[torch.ones(10, 10).triu(1).bool()].abs().mean().item()
    assert preactivation_neuronal_correlation(weight, covariance).item() == pytest.approx(expected, abs=1e-13)


def test_epsilon():
    assert epsilon(0.5, 0.25) == epsilon(0.25, 0.5) == 0.25


@pytest.mark.parametrize(
    ("weight", "covariance", "message"),
    [
        (torch.ones(3), torch.eye(3), r"\(n_units, n_inputs\)"),
        (torch.ones(2, 3), torch.eye(4), r"must have shape \(3, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(weight, covariance, message):
    with pytest.raises(ValueError, match=message):
        preactivation_correlation(weight, covariance)


def test_the_scale_of_a_units_weights_does_not_matter() -> None:
    weight, covariance = torch.randn(5, 4, dtype=torch.float64), torch.eye(4)
    expected = preactivation_correlation(weight, covariance)
    scale = torch.tensor([1e-170, 1.0, 1e160, -1e-30, 1.0], dtype=torch.float64)
    scaled = preactivation_correlation(weight * scale[:, None], covariance) * scale.sign().outer(scale.sign())
    torch.testing.assert_close(scaled, expected, rtol=0, atol=1e-12)
