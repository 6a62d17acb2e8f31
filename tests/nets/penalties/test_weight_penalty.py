"""The penalty on weights against 60 digits, the statistic it follows, and its edge cases."""

import math

import mpmath
import pytest
import torch
from mpmath import mpf

from cofire.nets.penalties import weight_correlation_penalty
from cofire.nets.penalties import weight_penalty as module
from cofire.stats import weight_correlation


def naive(rows: list[list[mpf]]) -> mpf:
    norms = [mpmath.sqrt(mpmath.fsum(v * v for v in row)) for row in rows]
    usable = [i for i, norm in enumerate(norms) if norm]
    cosines = [
        abs(mpmath.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / norms[i] / norms[j])
        for i in usable
        for j in usable
        if i != j
    ]
    return mpmath.fsum(cosines) / len(cosines)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradient_in_60_digits(dtype, tolerance):
    weight = torch.randn(5, 4, dtype=dtype)
    weight[3] = 0
    weight.requires_grad_()
    value = weight_correlation_penalty(weight)
    (found,) = torch.autograd.grad(value, weight)
    with mpmath.workdps(60):
        rows, h = [[mpf(v) for v in row] for row in weight.double().tolist()], mpf(10) ** -20
        assert value.item() == pytest.approx(float(naive(rows)), rel=tolerance)
        for i in (0, 1, 2, 4):
            for k in range(4):
                rows[i][k] += h
                above = naive(rows)
                rows[i][k] -= 2 * h
                slope = float((above - naive(rows)) / (2 * h))
                rows[i][k] += h
                assert found[i, k].item() == pytest.approx(slope, abs=tolerance)
    assert not found[3].any()


@pytest.mark.parametrize(("shape", "groups"), [((40, 30), 1), ((12, 3, 3, 3), 1), ((12, 3, 3, 3), 4), ((6, 1, 5), 6)])
def test_is_the_statistic(shape, groups):
    weight = torch.randn(shape, dtype=torch.float64)
    expected = weight_correlation(weight, groups=groups).item()
    assert weight_correlation_penalty(weight, groups=groups).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("shape", "groups"), [((6, 4), 1), ((6, 1, 3), 3)])
def test_derivatives_of_higher_order(shape, groups):
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def penalty(w):
        return weight_correlation_penalty(w, groups=groups)

    def slope(w):
        return torch.autograd.grad(penalty(w), w, create_graph=True)[0]

    assert torch.autograd.gradcheck(penalty, weight) and torch.autograd.gradcheck(slope, weight)
    assert torch.autograd.gradgradcheck(slope, weight)
    assert torch.autograd.gradcheck(lambda w: slope(w).square().sum() * penalty(w), weight)


def test_the_second_derivative_of_a_zero_vector_is_zero():
    weight = torch.randn(5, 4, dtype=torch.float64)
    weight[3] = 0
    weight.requires_grad_()
    (slope,) = torch.autograd.grad(weight_correlation_penalty(weight), weight, create_graph=True)
    (found,) = torch.autograd.grad(slope.square().sum(), weight)
    assert found.isfinite().all() and not found[3].any() and found[2].any()


def test_tiles_change_nothing(monkeypatch):
    weight = torch.randn(50, 20, dtype=torch.float64, requires_grad=True)
    (whole,) = torch.autograd.grad(weight_correlation_penalty(weight), weight)
    monkeypatch.setattr(module, "TILE_ROWS", 7)
    (tiled,) = torch.autograd.grad(weight_correlation_penalty(weight), weight)
    torch.testing.assert_close(tiled, whole)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale):
    weight = torch.randn(9, 20)
    weight[0] *= 1e3
    assert weight_correlation_penalty(weight * scale).item() == pytest.approx(
        weight_correlation_penalty(weight).item(), rel=1e-5
    )


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (3, 0)])
def test_without_a_pair_it_is_zero(shape):
    weight = torch.randn(shape, requires_grad=True)
    value = weight_correlation_penalty(weight)
    assert value.item() == 0
    assert not torch.autograd.grad(value, weight)[0].any()


def test_zero_weights_give_zero_and_no_gradient():
    weight = torch.zeros(4, 3, requires_grad=True)
    value = weight_correlation_penalty(weight)
    assert value.item() == 0
    assert not torch.autograd.grad(value, weight)[0].any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_nan_or_infinity_is_seen(bad):
    weight = torch.randn(4, 3)
    weight[1, 1] = bad
    assert weight_correlation_penalty(weight).isnan()


def test_autocast_costs_no_digits():
    weight = torch.randn(20, 30)
    with torch.autocast("cpu", torch.bfloat16):
        found = weight_correlation_penalty(weight)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(weight_correlation_penalty(weight.double()).item(), rel=1e-5)


def test_descent_makes_vectors_orthogonal():
    weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    before = weight_correlation_penalty(weight).item()
    optimizer = torch.optim.SGD([weight], lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        weight_correlation_penalty(weight).backward()
        optimizer.step()
    assert weight_correlation_penalty(weight).item() < before / 2


def test_refusals():
    for weight, groups in ((torch.randn(4), 1), (torch.randn(4, 3), 3)):
        with pytest.raises(ValueError, match="n_units a multiple of groups"):
            weight_correlation_penalty(weight, groups=groups)
