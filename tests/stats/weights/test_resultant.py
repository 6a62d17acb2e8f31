"""The compiled pass over vectors against tensor operations, and both against 60-digit arithmetic."""

import mpmath
import numpy as np
import pytest
import torch

from cofire.stats.weights import resultant as resultant_module
from cofire.stats.weights.resultant import _by_columns, _by_rows, _by_tensors, resultant


def by_columns(vectors: torch.Tensor) -> resultant_module.Resultant:
    return _by_columns(vectors.T.contiguous().T)


PASSES = pytest.mark.parametrize("one_pass", [_by_rows, by_columns, _by_tensors])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def in_sixty_digits(vectors: torch.Tensor) -> tuple[list[float], list[float]]:
    with mpmath.workdps(60):
        rows = [[mpmath.mpf(value) for value in row] for row in vectors.tolist()]
        lengths = [mpmath.sqrt(mpmath.fsum(value * value for value in row)) for row in rows]
        directions = [[v / length for v in row] for row, length in zip(rows, lengths, strict=True) if length]
        return [float(length) for length in lengths], [
            float(mpmath.fsum(axis)) for axis in zip(*directions, strict=True)
        ]


@PASSES
@DTYPES
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 40), (4, 8), (5, 7), (11, 33), (30, 2)])
def test_against_sixty_digits(one_pass, dtype, shape):
    vectors = normal(*shape, dtype=dtype)
    lengths, total = in_sixty_digits(vectors)
    found = one_pass(vectors)
    assert found.lengths.dtype == found.total.dtype == torch.float64
    np.testing.assert_allclose(found.lengths, lengths, rtol=1e-15 * shape[1])
    np.testing.assert_allclose(found.total, total, atol=4e-16 * shape[0])


@PASSES
@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_the_answer_does_not_depend_on_blocks(one_pass, n_rows, monkeypatch):
    monkeypatch.setitem(resultant_module.BUFFER_BYTES, "cpu", n_rows * 8 * 10)
    vectors = normal(23, 10)
    expected = torch.nn.functional.normalize(vectors.double()).sum(0)
    torch.testing.assert_close(one_pass(vectors).total, expected, rtol=0, atol=1e-14)


@PASSES
@DTYPES
def test_a_zero_vector_has_no_direction(one_pass, dtype):
    vectors = normal(9, 5, dtype=dtype)
    vectors[[0, 4, 8]] = 0
    found = one_pass(vectors)
    assert found.lengths[[0, 4, 8]].tolist() == [0, 0, 0]
    torch.testing.assert_close(found.total, one_pass(vectors[[1, 2, 3, 5, 6, 7]]).total, rtol=0, atol=1e-14)


@PASSES
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_shows_in_the_length(one_pass, bad):
    vectors = normal(6, 4)
    vectors[2, 1] = bad
    assert (~one_pass(vectors).lengths.isfinite()).nonzero()[:, 0].tolist() == [2]


@PASSES
@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_float32_squares_stay_in_range(one_pass, scale):
    vectors = normal(6, 4)
    scaled = vectors.double() * scale / 8
    found = one_pass(scaled.float())
    np.testing.assert_allclose(found.lengths, torch.linalg.vector_norm(scaled, dim=1), rtol=1e-6)
    torch.testing.assert_close(found.total, one_pass(vectors).total, rtol=0, atol=1e-5)


@PASSES
def test_many_small_terms_keep_their_digits(one_pass):
    # a running float32 sum of so many terms would lose six digits
    found = one_pass(torch.full((4, 500_000), 1 / 3))
    assert found.lengths.tolist() == pytest.approx([float(np.float32(1 / 3)) * 500_000**0.5] * 4, rel=1e-11)


@pytest.mark.parametrize("vectors", [normal(40, 6).T, normal(40, 12)[:, ::2], normal(80, 6)[::2]])
def test_views_are_read_where_they_are(vectors, monkeypatch):
    monkeypatch.setattr(resultant_module, "WORTH_COMPILED", 0)
    torch.testing.assert_close(resultant(vectors).total, _by_rows(vectors.contiguous()).total, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("vectors", "taken"),
    [
        (torch.zeros(1024, 1024), "_by_rows"),
        (torch.zeros(1024, 1024).T, "_by_columns"),
        (torch.zeros(1024, 2048)[:, ::2], "_by_tensors"),
        (torch.zeros(1024, 1023), "_by_tensors"),
    ],
)
def test_compiled_passes_take_large_matrices_in_one_piece(vectors, taken, monkeypatch):
    for name in ("_by_rows", "_by_columns", "_by_tensors"):
        monkeypatch.setattr(resultant_module, name, lambda _, name=name: name)
    assert resultant(vectors) == taken
