import numpy as np
import pytest
import torch
from numba import njit

from cofire.stats import gram_matrix
from cofire.stats.kernels import gram
from cofire.stats.kernels import kernel_sums_numba as compiled

WIDTHS = [0.05, 0.3, 1.0, 4.0, 1e4]


def sums_of(points, classes, kernel, add, monkeypatch):
    monkeypatch.setattr(gram, "_add_compiled", add)
    return gram.kernel_sums(points, WIDTHS, classes, kernel)


@pytest.mark.parametrize("add", [gram._add_compiled, gram._add_by_tensors])
@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
@pytest.mark.parametrize(("n", "n_classes"), [(2, 1), (30, 3), (512, 1), (700, 4), (1100, 1100)])
def test_sums_equal_those_of_the_whole_matrix(n, n_classes, kernel, add, monkeypatch):
    generator = torch.Generator().manual_seed(n)
    points = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    classes = torch.randint(n_classes, (n,), generator=generator)
    rows, inner, squares = sums_of(points, classes, kernel, add, monkeypatch)
    for at, width in enumerate(WIDTHS):
        whole = gram_matrix(points, width, kernel=kernel).fill_diagonal_(0)
        same = classes[:, None] == classes
        np.testing.assert_allclose(rows[at], whole.sum(dim=1), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(inner[at], whole[same].sum(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(squares[at], whole.square().sum(), rtol=1e-9, atol=1e-12)


def test_exponential_of_numbers_up_to_0():
    exp = compiled._exp

    @njit
    def each(x):
        return np.array([exp(value) for value in x])

    x = -np.concatenate([[0.0, 1e-300, 1e-12, 699.9], np.geomspace(1e-6, 699, 5000), np.arange(1000) * np.log(2) / 2])
    np.testing.assert_allclose(each(x), np.where(x > -700, np.exp(x), 0), rtol=1e-11)
    assert each(np.array([0.0, -700.0, -1e5, -np.inf])).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("add", [gram._add_compiled, gram._add_by_tensors])
def test_no_widths_have_no_sums(add, monkeypatch):
    monkeypatch.setattr(gram, "_add_compiled", add)
    rows, inner, squares = gram.kernel_sums(
        torch.randn(9, 2).double(), [], torch.zeros(9, dtype=torch.int64), "gaussian"
    )
    assert (rows.shape, inner.shape, squares.shape) == ((0, 9), (0,), (0,))
