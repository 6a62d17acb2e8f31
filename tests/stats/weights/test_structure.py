import naive_weights as naive
import pytest
import torch
from torch import nn

from cofire.stats.weights.structure import structure_coefficient


@pytest.mark.parametrize(("n_inputs", "n_units"), [(1, 1), (784, 100), (3, 7)])
def test_fully_connected(n_inputs, n_units):
    assert structure_coefficient(n_inputs, n_units) == pytest.approx(n_inputs / n_units)
    assert structure_coefficient(n_inputs, n_units, gamma=4.0) == pytest.approx(n_inputs / n_units / 4)


def test_fully_connected_against_loops():
    expected = naive.structure_coefficient(5, 3, (), (), (), (), (), (), 1)
    assert structure_coefficient(5, 3) == pytest.approx(expected)


def test_a_kernel_as_large_as_its_input_is_fully_connected():
    as_convolution = structure_coefficient(2, 6, kernel_size=(4, 5), input_size=(4, 5))
    assert as_convolution == pytest.approx(structure_coefficient(2 * 4 * 5, 6))


@pytest.mark.parametrize(("kernel", "expected"), [(3, 3.24), (6, 10.71)])
def test_interior_of_a_square_kernel(kernel, expected):
    """Far from the border Γ·γ·N per input channel is the paper's value; the border's share shrinks with the size."""
    size = 4000
    n_neurons = 2 * (size - kernel + 1) ** 2
    interior = structure_coefficient(5, 2, kernel_size=kernel, input_size=(size, size)) * n_neurons / 5
    assert interior == pytest.approx(expected, rel=2e-3)


CASES = [
    {"size": (7,), "kernel": (3,)},
    {"size": (9,), "kernel": (3,), "stride": (2,), "padding": (1,)},
    {"size": (10,), "kernel": (3,), "dilation": (2,), "padding": (2,)},
    {"size": (12,), "kernel": (4,), "stride": (2,), "dilation": (3,), "padding": (4,)},
    {"size": (13,), "kernel": (3,), "stride": (3,), "dilation": (2,), "padding": (0,)},
    {"size": (11,), "kernel": (2,), "stride": (5,)},
    {"size": (3,), "kernel": (1,), "padding": (2,)},
    {"size": (5,), "kernel": (5,), "padding": (4,)},
    {"size": (3,), "kernel": (3,), "dilation": (4,), "padding": (8,)},
    {"size": (2,), "kernel": (2,), "stride": (3,), "padding": (5,)},
    {"size": (5, 4), "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"size": (4, 6), "kernel": (3, 3), "padding": (1, 1), "groups": 2, "n_inputs": 4, "n_units": 6},
    {"size": (5, 5), "kernel": (3, 3), "dilation": (1, 2), "groups": 2, "n_inputs": 2, "n_units": 2},
    {"size": (3, 4, 2), "kernel": (2, 3, 1), "stride": (1, 2, 1), "padding": (1, 1, 0)},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_against_loops(case):
    size, kernel = case["size"], case["kernel"]
    axes = len(size)
    stride, padding = case.get("stride", (1,) * axes), case.get("padding", (0,) * axes)
    dilation, groups = case.get("dilation", (1,) * axes), case.get("groups", 1)
    n_inputs, n_units = case.get("n_inputs", 2), case.get("n_units", 2)
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](n_inputs, n_units, kernel, stride, padding, dilation, groups)
    output = layer(torch.zeros(1, n_inputs, *size)).shape[2:]
    expected = naive.structure_coefficient(n_inputs, n_units, output, size, kernel, stride, padding, dilation, groups)
    result = structure_coefficient(
        n_inputs,
        n_units,
        kernel_size=kernel,
        input_size=size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    assert result == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_padding_splits_as_torch_does(kernel):
    total = 2 * (kernel - 1)
    expected = naive.structure_coefficient(1, 1, (6,), (6,), (kernel,), (1,), (total // 2,), (2,), 1)
    result = structure_coefficient(1, 1, kernel_size=kernel, input_size=6, dilation=2, padding="same")
    assert result == pytest.approx(expected, rel=1e-12)


def test_valid_padding_and_numbers_for_every_axis():
    a = structure_coefficient(2, 3, kernel_size=3, input_size=(8, 8), stride=2, padding="valid")
    b = structure_coefficient(2, 3, kernel_size=(3, 3), input_size=(8, 8), stride=(2, 2), padding=(0, 0))
    assert a == b


def test_size_is_no_obstacle():
    assert 0 < structure_coefficient(512, 512, kernel_size=7, input_size=(100_000, 100_000), padding=3) < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 3}, "give input_size"),
        ({"kernel_size": 5, "input_size": 3}, "no output"),
        ({"kernel_size": (3, 3), "input_size": 8}, "kernel_size must be one number"),
        ({"kernel_size": 3, "input_size": 8, "stride": 0}, "stride must be"),
        ({"kernel_size": 3, "input_size": 8, "padding": -1}, "padding must be"),
        ({"kernel_size": 3, "input_size": 8, "padding": "full"}, "got 'full'"),
        ({"kernel_size": 3, "input_size": 8, "padding": "same", "stride": 2}, "needs stride 1"),
        ({"groups": 3}, "groups must divide"),
        ({"gamma": 0.0}, "gamma must be above 0"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        structure_coefficient(4, 4, **options)
