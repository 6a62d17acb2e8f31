"""Penalties on plain activations: value and gradient in 60 digits, laws, and what is not a number."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf
from torch import Tensor

from cofire.nets.penalties import (
    DeCovPenalty,
    VICRegCovariancePenalty,
    correlation_penalty,
    decov_penalty,
    vicreg_covariance_penalty,
)

Rows = list[list[mpf]]


def comoments(x: Rows) -> Rows:
    """By definition, sample by sample."""
    m, d = len(x), len(x[0])
    mean = [mpmath.fsum(x[k][i] for k in range(m)) / m for i in range(d)]
    return [
        [mpmath.fsum((x[k][i] - mean[i]) * (x[k][j] - mean[j]) for k in range(m)) for j in range(d)] for i in range(d)
    ]


def squared_correlations(x: Rows) -> Rows:
    c = comoments(x)
    varies = [i for i in range(len(c)) if c[i][i] != 0]
    return [[c[i][j] ** 2 / (c[i][i] * c[j][j]) for j in varies] for i in varies]


def naive_correlation(x: Rows) -> mpf:
    r2 = squared_correlations(x)
    return mpmath.fsum(mpmath.fsum(row) for row in r2) / (2 * len(r2))


def naive_debiased(x: Rows) -> mpf:
    m, r2 = len(x), squared_correlations(x)
    return mpmath.fsum(1 - (1 - v) * (m - 1) / (m - 2) for row in r2 for v in row) / (2 * len(r2))


def naive_top(x: Rows) -> mpf:
    r2 = squared_correlations(x)
    pairs = sorted((r2[i][j] for i in range(len(r2)) for j in range(i)), reverse=True)
    return (len(r2) + 2 * mpmath.fsum(pairs[: math.ceil(0.3 * len(pairs))])) / (2 * len(r2))


def naive_decov(x: Rows) -> mpf:
    c = comoments(x)
    return mpmath.fsum((c[i][j] / len(x)) ** 2 for i in range(len(c)) for j in range(len(c)) if i != j) / 2


def naive_vicreg(x: Rows) -> mpf:
    return naive_decov(x) * 2 * mpf(len(x)) ** 2 / (len(x) - 1) ** 2 / len(x[0])


@dataclass(frozen=True)
class Case:
    penalty: Callable[..., Tensor]
    naive: Callable[[Rows], mpf]


CASES = {
    "correlation": Case(correlation_penalty, naive_correlation),
    "per sample": Case(lambda x: correlation_penalty(x, scale="per_sample"), lambda x: naive_correlation(x) / len(x)),
    "debiased": Case(lambda x: correlation_penalty(x, debiased=True), naive_debiased),
    "top": Case(lambda x: correlation_penalty(x, top=0.3), naive_top),
    "DeCov": Case(decov_penalty, naive_decov),
    "VICReg": Case(vicreg_covariance_penalty, naive_vicreg),
}
SHAPES = {"few samples": (4, 6), "many samples": (7, 4), "offset": (6, 3), "constant unit": (5, 4)}


@pytest.fixture(params=CASES.values(), ids=[name.replace(" ", "_") for name in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def example(kind: str, dtype: torch.dtype) -> Tensor:
    x = torch.randn(SHAPES[kind], dtype=dtype, generator=torch.Generator().manual_seed(3))
    if kind == "offset":
        x += 1e4
    if kind == "constant unit":
        x[:, 1] = 0.1
    return x


def gradient(penalty: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(penalty(x), x)[0]


def in_60_digits(naive: Callable[[Rows], mpf], x: Tensor) -> tuple[float, Tensor]:
    """Value, and gradient by central differences that are exact to 30 digits."""
    with mpmath.workdps(60):
        rows, h = [[mpf(v) for v in row] for row in x.double().tolist()], mpf(10) ** -20
        slopes = torch.zeros(x.shape, dtype=torch.float64)
        for k, row in enumerate(rows):
            for i, value in enumerate(row):
                if all(other[i] == value for other in rows):
                    continue  # a constant unit: its gradient is 0 by decision
                row[i] = value + h
                above = naive(rows)
                row[i] = value - h
                slopes[k, i] = float((above - naive(rows)) / (2 * h))
                row[i] = value
        return float(naive(rows)), slopes


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradient_in_60_digits(case, kind, dtype, tolerance):
    x = example(kind, dtype)
    value, slopes = in_60_digits(case.naive, x)
    assert case.penalty(x).item() == pytest.approx(value, rel=tolerance)
    assert case.penalty(x).dtype == dtype
    found = gradient(case.penalty, x).double()
    assert (found - slopes).abs().max() <= tolerance * slopes.abs().max()


def test_first_and_second_derivatives_agree_with_finite_differences(case):
    for shape in ((4, 6), (7, 3)):
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(case.penalty, x)
        assert torch.autograd.gradgradcheck(case.penalty, x)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_laws_of_the_gradient(shape, dtype):
    x = torch.randn(shape, dtype=dtype) + 3
    g = gradient(correlation_penalty, x)
    size = g.abs().max() * len(x) * 10 * torch.finfo(dtype).eps
    assert g.sum(0).abs().max() < size
    assert (x * g).sum(0).abs().max() < size * x.abs().max()


def test_the_papers_gradient_is_right_with_the_standard_deviation_over_m_minus_1_only():
    x = torch.randn(50, 20, dtype=torch.float64)
    true = gradient(correlation_penalty, x)

    def printed(over: int) -> Tensor:
        sigma = ((x - x.mean(0)).square().sum(0) / over).sqrt()
        z = (x - x.mean(0)) / sigma
        rho = z.T @ z / 49
        return 2 / 20 / 49 * (z @ rho - z * rho.square().sum(0)) / sigma

    assert (printed(49) - true).abs().max() < 1e-12
    assert (printed(50) - true).abs().max() > 0.01 * true.abs().max()


@pytest.mark.parametrize(("d", "expected"), [(90, 1.408), (360, 4.163)])
def test_independent_units_give_the_noise_and_debiased_one_half(d, expected):
    batches = torch.randn(40, 50, d, dtype=torch.float64)
    assert torch.stack([correlation_penalty(x) for x in batches]).mean().item() == pytest.approx(expected, rel=0.005)
    debiased = torch.stack([correlation_penalty(x, debiased=True) for x in batches])
    assert debiased.mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("m", "d"), [(5, 9), (9, 5), (6, 6), (2, 4)])
def test_the_minimum_is_reached_by_frames_and_nothing_is_below(m, d):
    least = d / (2 * min(d, m - 1))
    x = torch.randn(m, d, dtype=torch.float64)
    assert correlation_penalty(x).item() >= least - 1e-12
    for _ in range(400):
        x -= 0.5 * len(x) ** 0.5 * gradient(correlation_penalty, x)
    assert correlation_penalty(x).item() == pytest.approx(least, rel=1e-3)


def test_equal_and_opposite_units_give_the_maximum():
    z = torch.randn(10, 1, dtype=torch.float64)
    x = torch.cat([z, -2 * z, z + 5], dim=1)
    assert correlation_penalty(x).item() == pytest.approx(1.5)
    assert gradient(correlation_penalty, x).abs().max() < 1e-12


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e3, 1e12])
def test_correlation_does_not_depend_on_scale_and_offset(scale):
    x = torch.randn(12, 30)
    assert correlation_penalty(x * scale).item() == pytest.approx(correlation_penalty(x).item(), rel=1e-5)
    exact = torch.randint(-8, 8, (12, 30)).float()
    assert correlation_penalty(exact + 2.0**20).item() == pytest.approx(correlation_penalty(exact).item(), rel=1e-6)


def test_covariances_scale_with_the_fourth_power():
    x = torch.randn(12, 30, dtype=torch.float64)
    assert decov_penalty(3 * x).item() == pytest.approx(81 * decov_penalty(x).item())
    assert vicreg_covariance_penalty(3 * x).item() == pytest.approx(81 * vicreg_covariance_penalty(x).item())


def test_both_ways_to_multiply_agree():
    x = torch.randn(19, 20, dtype=torch.float64)
    more = torch.cat([x, x])  # 38 samples of 20 units: the other way, and the same correlations
    assert correlation_penalty(more).item() == pytest.approx(correlation_penalty(x).item(), rel=1e-12)
    assert decov_penalty(more).item() == pytest.approx(decov_penalty(x).item(), rel=1e-12)


def test_small_covariances_of_many_samples_keep_their_digits():
    x = torch.randn(20000, 4)
    exact = decov_penalty(x.double())
    assert decov_penalty(x).item() == pytest.approx(exact.item(), rel=1e-3)
    assert exact < 1e-3  # next to a diagonal of 4


# units of very different scales

COVARIANCES = {"DeCov": (decov_penalty, DeCovPenalty), "VICReg": (vicreg_covariance_penalty, VICRegCovariancePenalty)}


def naive_covariances(x: Tensor, name: str) -> Tensor:
    """The whole table of covariances in float64, with the diagonal left out before squaring."""
    c = torch.cov(x.double().T, correction=int(name == "VICReg")).reshape(x.shape[1], -1)
    squares = (c - c.diagonal().diag()).square().sum()
    return squares / (2 if name == "DeCov" else x.shape[1])


def relative_error(found: Tensor, exact: Tensor) -> float:
    """The largest error of a gradient, each unit's relative to the largest slope of that unit."""
    size = exact.abs().amax(0)
    return float(((found.double() - exact).abs().amax(0) / size.where(size > 0, 1.0)).max())


@pytest.mark.parametrize("name", COVARIANCES)
@pytest.mark.parametrize("factor", [1.0, 3000.0, 1e6, 1e8])
def test_one_large_unit_does_not_hide_the_others(name, factor):
    samples = torch.randn(32, 128, generator=torch.Generator().manual_seed(0))
    samples[:, 0] *= factor
    for x in (samples, samples[:, :64], samples[:, :20]):
        exact = naive_covariances(x, name)
        slopes = gradient(lambda x: naive_covariances(x, name), x.double())
        function, module = COVARIANCES[name]
        for penalty in (function, module()):
            assert penalty(x).item() == pytest.approx(exact.item(), rel=1e-5)
            assert relative_error(gradient(penalty, x), slopes) < 1e-4


def test_the_reported_value_of_one_large_unit():
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    x[:, 0] *= 3000
    assert vicreg_covariance_penalty(x).item() == pytest.approx(754316, rel=0.5)  # 0 where the diagonal is subtracted


@settings(max_examples=60, deadline=None)
@given(
    n_samples=st.integers(2, 12),
    n_units=st.integers(1, 60),
    exponents=st.lists(st.integers(-5, 6), min_size=60, max_size=60),
    shared=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**16),
    name=st.sampled_from(list(COVARIANCES)),
)
def test_covariances_of_any_scales_are_those_of_the_naive_twin(n_samples, n_units, exponents, shared, seed, name):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_samples, n_units, generator=generator) + shared * torch.randn(n_samples, 1, generator=generator)
    x = x * 10.0 ** torch.tensor(exponents[:n_units])
    exact = naive_covariances(x, name).item()
    found = COVARIANCES[name][0](x)
    assert found.item() >= 0
    assert found.item() == pytest.approx(exact, rel=1e-4)
    slopes = gradient(lambda x: naive_covariances(x, name), x.double())
    assert (gradient(COVARIANCES[name][0], x).double() - slopes).abs().max() <= 1e-4 * slopes.abs().max()


@pytest.mark.parametrize("name", COVARIANCES)
def test_second_derivatives_where_the_largest_units_are_paired_directly(name):
    x = torch.randn(3, 9, dtype=torch.float64)
    x[:, [0, 5]] *= 30
    x.requires_grad_()
    assert torch.autograd.gradcheck(COVARIANCES[name][0], x)
    assert torch.autograd.gradgradcheck(COVARIANCES[name][0], x)


def test_as_many_large_orthogonal_units_as_fit_do_not_hide_the_others():
    angles = 2 * math.pi * torch.arange(16).double() / 16
    waves = [f(angles * k) for k in range(1, 8) for f in (torch.sin, torch.cos)]
    x = torch.randn(16, 80, generator=torch.Generator().manual_seed(0))
    x[:, :14] = 1e5 * torch.stack(waves, 1).float()
    assert decov_penalty(x).item() == pytest.approx(naive_covariances(x, "DeCov").item(), rel=1e-4)


# what is not a number


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_a_constant_unit_gets_no_gradient(case, dtype, shape):
    x = torch.randn(shape).to(dtype)
    x[:, 2], x[:, 5] = 0.1, 3.3
    with torch.autocast("cpu", torch.bfloat16):
        value, g = case.penalty(x), gradient(case.penalty, x)
    assert value.isfinite()
    assert value.dtype == torch.float32
    assert g.isfinite().all()
    assert not g[:, [2, 5]].any()
    assert g[:, 3].any()


def test_constant_units_are_left_out_as_though_they_were_not_there():
    x = torch.randn(20, 6)
    more = torch.cat([x, torch.full((20, 3), 0.1)], dim=1)
    for options in ({}, {"debiased": True}, {"top": 0.4}, {"scale": "per_sample"}):
        assert correlation_penalty(more, **options).item() == pytest.approx(correlation_penalty(x, **options).item())


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_samples_give_zero(case, n):
    x = torch.randn(n, 5)
    assert case.penalty(x).item() == 0
    assert gradient(case.penalty, x).shape == (n, 5)
    assert not gradient(case.penalty, x).any()


def test_two_samples_correlate_fully_and_have_nothing_to_debias():
    x = torch.randn(2, 4, dtype=torch.float64)
    assert correlation_penalty(x).item() == pytest.approx(2.0)
    assert correlation_penalty(x, debiased=True).item() == 0


def test_a_layer_of_constants_gives_zero(case):
    x = torch.full((8, 5), 0.3)
    assert case.penalty(x).item() == 0
    assert not gradient(case.penalty, x).any()


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (1, 4)])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_nan_or_infinity_is_seen(case, shape, bad):
    for place in {0, shape[0] - 1}:
        x = torch.randn(shape)
        x[place, 2] = bad
        assert case.penalty(x).isnan()


def test_squares_that_overflow_are_seen_and_those_that_underflow_count_as_constant():
    x = torch.randn(10, 4)
    assert correlation_penalty(x * 1e30).isnan()
    x[:, 1] *= 1e-30
    assert correlation_penalty(x).item() == pytest.approx(correlation_penalty(x[:, [0, 2, 3]]).item())
    assert not gradient(correlation_penalty, x)[:, 1].any()


# the shapes of activations


def test_channels_are_units_and_positions_samples(case):
    x = torch.randn(3, 5, 4, 2, dtype=torch.float64)
    rows = x.permute(0, 2, 3, 1).reshape(-1, 5)
    for penalty in (correlation_penalty, decov_penalty, vicreg_covariance_penalty):
        assert penalty(x, unit_axis=1).item() == pytest.approx(penalty(rows).item(), rel=1e-12)
        assert penalty(x, unit_axis=-3).item() == pytest.approx(penalty(rows).item(), rel=1e-12)


def test_masked_samples_do_not_count_and_get_no_gradient():
    x, mask = torch.randn(4, 6, 5, dtype=torch.float64), torch.rand(4, 6) < 0.6
    for kept in (mask, mask.long()):
        value = correlation_penalty(x, mask=kept)
        assert value.item() == pytest.approx(correlation_penalty(x[mask]).item(), rel=1e-12)
    g = gradient(lambda x: correlation_penalty(x, mask=mask), x)
    assert not g[~mask].any()
    assert correlation_penalty(x, mask=torch.zeros(4, 6, dtype=torch.bool)).item() == 0
    by_sequence = correlation_penalty(x, mask=torch.tensor([True, False, True, True]))
    assert by_sequence.item() == pytest.approx(correlation_penalty(x[[0, 2, 3]]).item(), rel=1e-12)


def test_arrays_and_whole_numbers_are_read():
    x = torch.randint(0, 9, (12, 4))
    assert correlation_penalty(x).item() == pytest.approx(correlation_penalty(x.double()).item())
    assert correlation_penalty(x.numpy()).item() == pytest.approx(correlation_penalty(x.double()).item())
    assert correlation_penalty(x > 4).isfinite()


def test_refusals():
    x = torch.randn(6, 4)
    with pytest.raises(ValueError, match="'mean' or 'per_sample'"):
        correlation_penalty(x, scale="sum")
    for top in (0.0, -1.0, 1.5, math.nan, True, "1"):
        with pytest.raises(ValueError, match="share of pairs"):
            correlation_penalty(x, top=top)
    for mask in (torch.ones(5).bool(), torch.ones(6, 4, 1).bool(), torch.ones(6), torch.tensor(True)):
        with pytest.raises(ValueError, match="mask"):
            correlation_penalty(x, mask=mask)
    for bad, axis in ((x, 2), (torch.tensor(1.0), -1)):
        with pytest.raises(ValueError, match="expected activations with units on axis"):
            correlation_penalty(bad, unit_axis=axis)


def test_only_the_strongest_pairs_get_a_gradient():
    x = torch.randn(30, 6, dtype=torch.float64)
    x[:, 1] = x[:, 0] + 0.1 * x[:, 1]
    g = gradient(lambda x: correlation_penalty(x, top=1 / 15), x)
    assert g[:, :2].any()
    assert not g[:, 2:].any()
    fewest = correlation_penalty(x, top=1e-12)  # one pair, however small the share
    assert fewest.item() == pytest.approx(correlation_penalty(x, top=1 / 15).item())
    assert correlation_penalty(x, top=1 - 1e-12).item() == pytest.approx(correlation_penalty(x).item())


# the machinery of training


# torch's own tracer warns of what it does
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("options", [{}, {"debiased": True, "top": 0.5}])
def test_compiles_without_a_break(options):
    def penalty(x: Tensor) -> Tensor:
        return correlation_penalty(x, **options)

    compiled = torch.compile(penalty, backend="aot_eager", fullgraph=True)
    for shape in ((8, 20), (20, 8)):
        x = torch.randn(shape)
        assert compiled(x).item() == pytest.approx(penalty(x).item(), rel=1e-6)
        torch.testing.assert_close(gradient(compiled, x), gradient(penalty, x))
    torch._dynamo.reset()


def test_half_precision_and_autocast_cost_no_digits():
    x = torch.randn(16, 40).half()
    exact = gradient(correlation_penalty, x.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = gradient(correlation_penalty, x)
        assert correlation_penalty(x).item() == pytest.approx(correlation_penalty(x.double()).item(), rel=1e-6)
    assert found.dtype == torch.float16
    assert (found.double() - exact).abs().max() < 1e-3 * exact.abs().max()


def test_input_and_default_types_are_left_alone():
    x = torch.randn(7, 5)
    before = x.clone()
    torch.set_default_dtype(torch.float64)
    try:
        assert correlation_penalty(x).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(x, before)
    with torch.inference_mode():
        assert correlation_penalty(x).item() > 0.5


@pytest.mark.parametrize("top", [1.0, 0.5])
def test_second_derivatives_of_pairs_that_do_not_correlate(top):
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    value = correlation_penalty(x, top=top)
    assert value.item() == 0.5
    (grad,) = torch.autograd.grad(value, x, create_graph=True)
    assert not grad.any()
    assert torch.autograd.grad(grad.square().sum() + grad[0, 1], x)[0].any()


@pytest.mark.parametrize("n_samples", [1, 2, 8, 9, 63, 300])
@pytest.mark.parametrize("top", [1.0, 0.5, 1e-9])
def test_float32_agrees_with_float64_beside_a_constant_unit(n_samples, top):
    x = torch.randn(n_samples, 9, generator=torch.Generator().manual_seed(3)) * 2 + 1000
    x[:, 2], x[:, 4] = 0.3, x[:, 0] + 3.0
    value, exact = (correlation_penalty(one, top=top) for one in (x, x.double()))
    assert value.item() == pytest.approx(exact.item(), rel=2e-5)
    usual = [unit for unit in range(9) if unit != 4]  # for an exact copy the gradient is what rounding left
    slopes = gradient(lambda x: correlation_penalty(x, top=top), x.double())
    found = gradient(lambda x: correlation_penalty(x, top=top), x)
    assert (found.double() - slopes)[:, usual].abs().max() <= 6e-5 * max(1.0, slopes[:, usual].abs().max().item())
    assert not found[:, 2].any()


@pytest.mark.parametrize("layout", ["transposed", "strided", "channels"])
def test_any_layout_is_taken(layout):
    x = {
        "transposed": torch.randn(9, 30).T,
        "strided": torch.randn(60, 18)[::2, ::2],
        "channels": torch.randn(5, 6, 9).movedim(0, 1).reshape(30, 9),
    }[layout]
    assert correlation_penalty(x).item() == pytest.approx(correlation_penalty(x.contiguous()).item(), rel=1e-6)
    torch.testing.assert_close(gradient(correlation_penalty, x), gradient(correlation_penalty, x.contiguous()))
