import pytest
import torch
from torch import Tensor

from cofire.stats.lanczos import effective_rank_entropy_lanczos
from cofire.stats.spectra import effective_rank_entropy


def with_singular_values(sigma: Tensor, n_rows: int) -> Tensor:
    left = torch.linalg.qr(torch.randn(n_rows, len(sigma), dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(len(sigma), len(sigma), dtype=torch.float64)).Q
    return left * sigma @ right


SPECTRA = {
    "flat": torch.ones(300),
    "slow decay": torch.arange(1, 301) ** -0.5,
    "power law": torch.arange(1, 301) ** -1.0,
    "exponential": torch.exp(-torch.arange(300) / 30),
    "one large": torch.cat([torch.tensor([300.0]), torch.ones(299)]),
    "low rank": (torch.arange(300) < 9).double(),
    "half zero": (torch.arange(300) < 150).double(),
}


@pytest.mark.parametrize("n_rows", [400, 700])  # from twice as many on by the Gram matrix
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_it_is_near_the_value_of_all_singular_values(spectrum, dtype, n_rows):
    sigma = SPECTRA[spectrum].double()
    wanted = effective_rank_entropy(sigma).item()
    found = effective_rank_entropy_lanczos(with_singular_values(sigma, n_rows).to(dtype))
    assert abs(found.value - wanted) < 6 * found.error + 0.01 * wanted
    assert found.error < 0.05 * wanted


def test_wide_and_tall_are_the_same():
    matrix = with_singular_values(SPECTRA["slow decay"].double(), 400)
    assert effective_rank_entropy_lanczos(matrix).value == pytest.approx(
        effective_rank_entropy_lanczos(matrix.T).value, rel=1e-9
    )


@pytest.mark.parametrize("factor", [1e-15, 1e15])
def test_scale_does_not_matter(factor):
    matrix = with_singular_values(SPECTRA["power law"].double(), 300).float()
    wanted = effective_rank_entropy_lanczos(matrix).value
    assert effective_rank_entropy_lanczos(matrix * factor).value == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (17, 40), (30, 20)])
def test_small_matrices_are_exact(shape):
    matrix = torch.randn(shape, dtype=torch.float64)
    wanted = effective_rank_entropy(torch.linalg.svdvals(matrix)).item()
    assert effective_rank_entropy_lanczos(matrix).value == pytest.approx(wanted, rel=1e-2)


def test_the_error_says_how_far_it_is_off():
    matrix = torch.randn(400, 500)
    wanted = effective_rank_entropy(torch.linalg.svdvals(matrix.double())).item()
    found = [effective_rank_entropy_lanczos(matrix, seed=seed) for seed in range(30)]
    z = torch.tensor([(one.value - wanted) / one.error for one in found])
    assert 0.5 < z.square().mean().sqrt() < 2


def test_zero_has_none_and_the_generator_is_left_alone():
    assert torch.tensor(effective_rank_entropy_lanczos(torch.zeros(30, 30))).isnan().all()
    state = torch.get_rng_state()
    effective_rank_entropy_lanczos(torch.randn(30, 30, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(state, torch.get_rng_state())
