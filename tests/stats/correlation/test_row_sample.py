"""A bottom-k sketch against sorting all rows, and what merging leaves alone."""

import numpy as np
import pytest
import torch

from cofire.stats.correlation.row_sample import RowSketch, hashed, rows_to_keep

N_UNITS = 2000  # of which few rows are kept
MOST = rows_to_keep(N_UNITS)


def stream(n: int, *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Rows that tell their places."""
    return torch.arange(n, dtype=dtype)[:, None].expand(n, N_UNITS)


def sketched(rows: torch.Tensor, size: int) -> RowSketch:
    """What is kept if rows come in batches of ``size``."""
    sketch = RowSketch(N_UNITS)
    for start in range(0, len(rows), size):
        sketch.add(rows[start : start + size], start)
    return sketch


def places(sketch: RowSketch) -> list[int]:
    return sorted(sketch.rows()[:, 0].int().tolist())


@pytest.mark.parametrize("size", [1, 7, MOST, 1000])
@pytest.mark.parametrize("n", [1, MOST - 1, MOST, MOST + 1, 1000])
def test_the_rows_that_hash_lowest_stay(n, size):
    sketch = sketched(stream(n), size)
    lowest = np.argsort(hashed(np.arange(n, dtype=np.uint64)))[:MOST]
    assert places(sketch) == sorted(lowest.tolist())
    kept = sketch.rows()[:, 0].numpy().astype(np.uint64)
    np.testing.assert_array_equal(sketch.priority, hashed(kept))  # each next to its own row


def test_no_row_is_kept_of_none():
    assert RowSketch(3).rows().shape == (0, 3)


@pytest.mark.parametrize(("n", "others"), [(0, 5), (5, 0), (10, 500), (500, 10), (500, 500)])
def test_merging_keeps_the_lowest_of_both_and_leaves_them_alone(n, others):
    a, b = sketched(stream(n), 100), sketched(-1 - stream(others), 100)
    before = places(a), places(b)
    merged = a + b
    priorities = np.sort(np.concatenate([a.priority, b.priority]))[:MOST]
    np.testing.assert_array_equal(np.sort(merged.priority), priorities)
    merged.add(stream(5000) + 1000, n + others)  # takes places in the merged sketch alone
    assert (places(a), places(b)) == before


def test_wider_rows_widen_those_that_are_kept():
    sketch = sketched(stream(10), 10)
    sketch.add(stream(10, dtype=torch.float64) + 1e-12, 10)
    assert sketch.rows().dtype == torch.float64
    assert len(sketch.rows()) == 20
