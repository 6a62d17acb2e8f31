"""Compiled centering against tensor operations; tiles against the whole matrix, however they are cut."""

import numpy as np
import pytest
import torch

from cofire.stats.correlation import in_memory
from cofire.stats.correlation.in_memory import (
    Affine,
    InMemory,
    Room,
    _center_and_norm_by_tensors,
    _center_and_norm_compiled,
    center_and_norm,
    normalize,
    transposed_product,
)


def some(n_samples: int, n_units: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = torch.randn(n_samples, n_units, generator=torch.Generator().manual_seed(2)) + 100
    x[:, 1] = 0.3
    return x.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_samples", [1, 2, 700])
def test_center_and_norm_compiled_and_by_tensors(dtype: torch.dtype, n_samples: int) -> None:
    x = some(n_samples, 5, dtype)
    for found in (_center_and_norm_compiled(x), _center_and_norm_by_tensors(x)):
        np.testing.assert_allclose(found[0], x.double().numpy().mean(0), rtol=1e-14)
        np.testing.assert_allclose(
            found[1] ** 2, (x.double() - x.double().mean(0)).square().sum(0), rtol=1e-12, atol=1e-20
        )
        assert found[1][1] == 0


def test_center_and_norm_of_columns_lying_apart_and_of_nothing() -> None:
    x = some(40, 6)
    for one, other in zip(center_and_norm(x.T.contiguous().T), center_and_norm(x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-14)
    assert all(found.isnan().all() for found in center_and_norm(torch.empty(0, 3)))


@pytest.mark.parametrize("work", [torch.float32, torch.float64])
@pytest.mark.parametrize("out", [torch.float32, torch.float64])
def test_normalize_compiled_and_by_tensors(work: torch.dtype, out: torch.dtype) -> None:
    x = some(600, 7)
    x[3, 2] = torch.nan
    mean = torch.full((4,), 100.0, dtype=work)
    affine = Affine(mean, mean / 1000, torch.tensor([0.0, 1.0, 0.0, 2.0], dtype=work))
    compiled, plain = torch.full((600, 4), 9.0, dtype=out), torch.full((600, 4), 9.0, dtype=out)
    normalize(x, 2, affine, compiled)
    normalize(x.T.contiguous().T, 2, affine, plain)
    assert torch.equal(compiled, plain)
    assert not compiled[:, ::2].any()


@pytest.mark.parametrize(("panel_bytes", "held"), [(1, 2048), (16 << 20, 2048), (16 << 20, 1), (300 * 8 * 10, 2048)])
@pytest.mark.parametrize("n_units", [3, 10, 11, 23])
def test_tiles_hold_each_pair_once(panel_bytes, held, n_units, monkeypatch) -> None:
    monkeypatch.setattr("cofire.stats.correlation.pair_tiles.BLOCK", 5)
    monkeypatch.setattr(in_memory, "PANEL_BYTES", panel_bytes)
    monkeypatch.setattr(in_memory, "HELD_UNITS", held)
    x = some(300, n_units, torch.float64)
    source = InMemory(x, torch.float64, torch.float64)
    found = torch.zeros(n_units, n_units, dtype=torch.float64)
    for tile in source.tiles():
        height, width = tile.values.shape
        found[tile.row : tile.row + height, tile.column : tile.column + width] += tile.values
    expected = torch.corrcoef(x.T).nan_to_num(0.0).triu(1)
    expected[1], expected[:, 1] = 0, 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_products_are_summed_over_stretches_of_rows(monkeypatch) -> None:
    monkeypatch.setattr(in_memory, "ROWS_A_PRODUCT", 7)
    a, b = some(20, 3), some(20, 4)
    room = Room(torch.float32, torch.device("cpu"))
    torch.testing.assert_close(transposed_product(a, b, room), a.T @ b)
    torch.testing.assert_close(transposed_product(a, a, room), a.T @ a)  # in place of the one before
