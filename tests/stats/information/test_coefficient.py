"""Information as a correlation and back, held to each other and to Gaussian mutual information."""

import math

import pytest
import torch

from cofire.stats import information_coefficient, information_of_correlation, mutual_information_gaussian
from cofire.stats.truth import MultivariateNormal

RHO = torch.tensor([0.0, 0.01, 0.3, 0.6, 0.9, 0.999], dtype=torch.float64)


def test_the_two_undo_each_other():
    torch.testing.assert_close(information_coefficient(information_of_correlation(RHO)), RHO, rtol=1e-9, atol=0)
    torch.testing.assert_close(information_of_correlation(-RHO), information_of_correlation(RHO))


@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_closed_form(rho):
    truth = MultivariateNormal.pair(rho).mutual_information
    assert information_of_correlation(torch.tensor(rho, dtype=torch.float64)).item() == pytest.approx(truth, abs=1e-12)


def test_numbers_are_taken_too():
    assert information_of_correlation(0.6).item() == pytest.approx(-0.5 * math.log(1 - 0.36), abs=1e-15)
    assert information_coefficient(information_of_correlation(0.6).item()).item() == pytest.approx(0.6, abs=1e-15)
    assert information_coefficient(0).item() == 0 and information_of_correlation(1).item() == math.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beyond_one_only_rounding_counts_as_one(dtype):
    one = torch.tensor([1.0, 1 + torch.finfo(dtype).eps, 1.5, -2.0], dtype=dtype)
    found = information_of_correlation(one)
    assert found[:2].tolist() == [math.inf, math.inf] and found[2:].isnan().all()


def test_it_is_what_gaussian_mutual_information_does_with_a_sample():
    x, y = torch.randn(2, 50, dtype=torch.float64)
    rho = torch.corrcoef(torch.stack([x, y]))[0, 1]
    assert information_of_correlation(rho).item() == pytest.approx(mutual_information_gaussian(x, y).item(), abs=1e-12)


def test_ends_and_signs():
    ends = torch.tensor([math.inf, 0.0, -0.02, math.nan], dtype=torch.float64)
    one, zero, below, undefined = information_coefficient(ends).tolist()
    assert one == 1 and zero == 0 and below == pytest.approx(-0.198, abs=1e-3) and math.isnan(undefined)
    copies = information_of_correlation(torch.tensor([1.0, -1.0, 1 - 1e-14], dtype=torch.float64))
    assert copies.isinf().all()
