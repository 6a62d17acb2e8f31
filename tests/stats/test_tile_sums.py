"""The compiled pass over a tile against tensor operations, and those against plain sums."""

import pytest
import torch

from cofire.stats._tile_sums import _by_tensors, _compiled, tile_sums


def a_tile(dtype: torch.dtype, spread: float) -> torch.Tensor:
    tile = (torch.randn(37, 64, generator=torch.Generator().manual_seed(1)) * spread).clamp(-1, 1).to(dtype)
    tile[:, 5] = 0
    tile[3] = 1
    return tile


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize("spread", [0.001, 0.03, 0.5])
@pytest.mark.parametrize("decay", [-0.5, -50.0, -5e5])
def test_compiled_equals_tensors(dtype: torch.dtype, tolerance: float, spread: float, decay: float) -> None:
    tile = a_tile(dtype, spread)
    fast, plain = _compiled(tile, decay), _by_tensors(tile.double(), decay)
    torch.testing.assert_close(fast.sums, plain.sums, rtol=tolerance, atol=tolerance * 10)
    torch.testing.assert_close(fast.rows.double(), plain.rows, rtol=tolerance, atol=0)
    torch.testing.assert_close(fast.columns.double(), plain.columns, rtol=tolerance, atol=0)
    assert torch.equal(fast.signs, tile.sign())


def test_tensors_equal_their_definition() -> None:
    tile = a_tile(torch.float64, 0.3)
    found = _by_tensors(tile, -2.0)
    w = torch.exp(-2 * tile**2)
    expected = torch.stack([tile.sum(), (tile**2).sum(), *((w**power).sum() for power in (1, 2, 4, 5, 8))])
    torch.testing.assert_close(found.sums, expected)
    torch.testing.assert_close(found.columns, tile.abs().sum(0))


def test_a_tile_of_zeros_and_a_view_of_one() -> None:
    found = tile_sums(torch.zeros(2, 3), -100.0)
    assert found.sums.tolist() == pytest.approx([0, 0, 6, 6, 6, 6, 6], rel=0, abs=0)
    wide = torch.randn(4, 8)
    torch.testing.assert_close(tile_sums(wide[:, ::2], -1.0).rows, wide[:, ::2].abs().sum(1))
