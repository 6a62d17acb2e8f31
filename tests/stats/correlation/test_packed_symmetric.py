"""The packed matrix against the whole one, however many products are taken side by side."""

import pytest
import torch

from cofire.stats.correlation.packed_symmetric import PackedSymmetric

CPU = torch.device("cpu")


def panels_of(x: torch.Tensor, packed: PackedSymmetric) -> torch.Tensor:
    return torch.stack([packed.padded(row) for row in x], 1)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 64])
@pytest.mark.parametrize("n_units", [1, 256, 300, 1200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_add_up(n_units, n_threads, dtype, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    packed = PackedSymmetric(n_units, CPU)
    room = packed.room_for_products(dtype)
    assert len(room) <= packed.n_blocks
    x = torch.randn(30, n_units, dtype=dtype)
    packed.add_products(panels_of(x[:20], packed), room)
    packed.add_products(panels_of(x[20:], packed), room)
    whole = packed.assembled(lambda entries, rows, columns: entries)
    torch.testing.assert_close(
        whole, (x.double().T @ x.double()), rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-12
    )
    torch.testing.assert_close(packed.diagonal(), whole.diagonal())


def test_nothing_is_zero():
    packed = PackedSymmetric(3, CPU)
    assert not packed.diagonal().any()
    assert not packed.tiles.any()
