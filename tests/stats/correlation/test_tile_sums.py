"""The compiled pass over a tile against tensor operations, and those against plain sums."""

import pytest
import torch

from cofire.stats.correlation.noise_floor import Correction
from cofire.stats.correlation.pair_tiles import Tile
from cofire.stats.correlation.tile_sums import TileSums

HEIGHT, WIDTH, N_UNITS = 37, 64, 120


def a_tile(dtype: torch.dtype, spread: float, *, column: int = WIDTH - 8) -> Tile:
    values = torch.randn(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) * spread
    values[:, 5] = 0
    values[3, 7:] = 1 + 1e-6  # rounding may carry a correlation beyond 1
    return Tile(0, column, values.to(dtype))


def added(tile: Tile, freedom: int, how: str) -> tuple[TileSums, torch.Tensor]:
    sums = TileSums(N_UNITS, freedom + 1, torch.device("cpu"))
    sums._add = getattr(sums, how)
    signs = sums.add(tile)
    return sums, signs


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-8)])
@pytest.mark.parametrize("spread", [0.001, 0.03, 0.5])
@pytest.mark.parametrize("freedom", [1, 100, 1_000_000])
@pytest.mark.parametrize("column", [0, WIDTH - 8])
def test_compiled_equals_tensors(dtype: torch.dtype, tolerance: float, spread: float, freedom: int, column: int):
    fast, signs = added(a_tile(dtype, spread, column=column), freedom, "_add_compiled")
    plain_tile = a_tile(dtype, spread, column=column)
    expected_signs = Tile(0, column, plain_tile.raw.clone()).values.sign()
    plain, plain_signs = added(Tile(0, column, plain_tile.raw.double()), freedom, "_add_by_tensors")
    n_pairs = HEIGHT * WIDTH - (HEIGHT * (HEIGHT + 1) // 2 if column == 0 else 0)
    assert fast.means(n_pairs) == pytest.approx(plain.means(n_pairs), rel=tolerance, abs=tolerance / 100)
    torch.testing.assert_close(fast.strength, plain.strength, rtol=tolerance, atol=0)
    assert torch.equal(signs, expected_signs)
    assert torch.equal(plain_signs, expected_signs.double())


@pytest.mark.parametrize("column", [0, WIDTH - 8])
def test_tensors_equal_their_definition(column: int) -> None:
    tile = a_tile(torch.float64, 0.3, column=column)
    rho = tile.raw.clone().clamp(-1, 1)
    found, _ = added(tile, 4, "_add_by_tensors")
    w = torch.exp(-2 * rho**2)
    correction = Correction.of(5)
    c = correction.narrow * torch.exp(-8 * rho**2) - correction.wide * w
    pair = torch.ones_like(rho).triu(1) if column == 0 else torch.ones_like(rho)
    expected = torch.stack([(part * pair).sum() for part in (rho, rho**2, w, c, c**2)])
    means = found.means(n_pairs := int(pair.sum()))
    assert means[:5] == pytest.approx((expected / n_pairs).tolist(), rel=1e-12)
    assert means.magnitude == pytest.approx(float((rho.abs() * pair).mean()) * pair.numel() / n_pairs, rel=1e-12)


def test_zeros_and_what_sticks_out_of_the_units() -> None:
    sums, signs = added(Tile(N_UNITS - 2, N_UNITS - 1, torch.zeros(2, 3)), 100, "_add_compiled")
    assert sums.sums.tolist() == pytest.approx([6 * one for one in sums.at_zero], rel=1e-6, abs=0)
    assert not signs.any()
    sums, _ = added(Tile(N_UNITS - 2, N_UNITS - 1, torch.ones(2, 3)), 100, "_add_compiled")
    assert sums.strength.tolist()[-3:] == [0, 3, 3 + 2]


def test_a_view_of_a_tile() -> None:
    wide = torch.randn(4, 8).clamp(-1, 1)
    expected = wide[:, ::2].abs().sum(1)
    sums, _ = added(Tile(0, 50, wide[:, ::2]), 1, "_add_compiled")
    torch.testing.assert_close(sums.strength[:4].float(), expected)
