import pytest
import torch
from torch import Tensor

from cofire.stats.redundancy.effective_rank import effective_rank_entropy
from cofire.stats.redundancy.lanczos import effective_rank_entropy_lanczos


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
    "geometric": 0.95 ** torch.arange(300.0, dtype=torch.float64),
    "slowly geometric": 0.98 ** torch.arange(300.0, dtype=torch.float64),
    "steep power law": torch.arange(1, 301) ** -2.0,
    "random": torch.linalg.svdvals(torch.randn(300, 300, generator=torch.Generator().manual_seed(0))),
}


@pytest.mark.parametrize("n_rows", [300, 700])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_it_is_near_the_value_of_all_singular_values(spectrum, dtype, n_rows):
    sigma = SPECTRA[spectrum].double()
    wanted = effective_rank_entropy(sigma).item()
    found = effective_rank_entropy_lanczos(with_singular_values(sigma, n_rows).to(dtype))
    assert abs(found.value - wanted) < 6 * found.error + 1e-3 * wanted
    assert found.error < 0.05 * wanted


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", ["slow decay", "power law", "geometric", "slowly geometric", "steep power law"])
def test_the_error_says_how_far_it_is_off(spectrum, dtype):
    sigma = SPECTRA[spectrum].double()
    wanted = effective_rank_entropy(sigma).item()
    matrix = with_singular_values(sigma, 300).to(dtype)
    found = [effective_rank_entropy_lanczos(matrix, seed=seed) for seed in range(20)]
    z = torch.tensor([(one.value - wanted) / one.error for one in found])
    assert 0.2 < z.square().mean().sqrt() < 1.5


def test_few_values_behind_the_leading_ones_are_not_taken_for_certain():
    for rank in (65, 66):
        matrix = with_singular_values((torch.arange(400) < rank).double(), 400)
        found = [effective_rank_entropy_lanczos(matrix, seed=seed) for seed in range(60)]
        assert max(abs(one.value - rank) / one.error for one in found) < 4


@pytest.mark.parametrize("rank", [1, 5, 63])
def test_rounding_is_part_of_the_error(rank):
    matrix = with_singular_values((torch.arange(900) < rank).double(), 900).float()
    found = effective_rank_entropy_lanczos(matrix)
    assert abs(found.value - rank) < 2 * found.error < 0.02 * rank


def test_a_course_that_the_quadrature_cannot_follow_widens_the_error():
    sigma = 0.99 ** torch.arange(2000.0, dtype=torch.float64)
    found = effective_rank_entropy_lanczos(torch.diag(sigma))  # on which random signs do not scatter
    assert abs(found.value - effective_rank_entropy(sigma).item()) < found.error
    assert 0.02 < found.error / found.value < 0.1


def test_wide_and_tall_are_the_same():
    matrix = with_singular_values(SPECTRA["slow decay"].double(), 400)
    assert effective_rank_entropy_lanczos(matrix).value == pytest.approx(
        effective_rank_entropy_lanczos(matrix.T).value, rel=1e-9
    )


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [(torch.float64, factor) for factor in (1e-300, 1e-200, 1e15, 1e200, 1e300)]
    + [(torch.float32, factor) for factor in (1e-37, 1e-15, 1e37)],
)
def test_scale_does_not_matter(dtype, factor):
    matrix = with_singular_values(SPECTRA["power law"].double(), 300).to(dtype)
    wanted = effective_rank_entropy_lanczos(matrix).value
    assert effective_rank_entropy_lanczos(matrix * factor).value == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (17, 40), (30, 20), (64, 64)])
def test_small_matrices_are_exact(shape):
    matrix = torch.randn(shape, dtype=torch.float64)
    wanted = effective_rank_entropy(torch.linalg.svdvals(matrix)).item()
    assert effective_rank_entropy_lanczos(matrix).value == pytest.approx(wanted, rel=1e-6)


def test_zero_has_none_and_the_generator_is_left_alone():
    assert torch.tensor(effective_rank_entropy_lanczos(torch.zeros(30, 30))).isnan().all()
    state = torch.get_rng_state()
    effective_rank_entropy_lanczos(torch.randn(30, 30, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(state, torch.get_rng_state())
