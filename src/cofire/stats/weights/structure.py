"""Structure-correlation coefficient: how many parents the units of a layer share, from the layer's shape alone."""

from collections.abc import Sequence
from math import prod
from numbers import Integral

import torch
from torch import Tensor

from .._base.argument_checks import check_count, check_number

MOST = 1 << 31  # sizes beyond are no layer's, and their products would leave int64
MOST_OVERLAPS = 1 << 27  # pairs of positions along an axis that are held in memory, in a few tables of 8 bytes each
Size = int | Sequence[int]


def structure_coefficient(
    n_inputs: int,
    n_units: int,
    *,
    gamma: float = 1.0,
    kernel_size: Size | None = None,
    input_size: Size | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> float:
    r"""Compute the structure-correlation coefficient Γ of a fully-connected or convolutional layer.

    .. math:: \Gamma = \frac{1}{\gamma N^2} \sum_{i=1}^{N} \frac{\sum_j g(i, j)}{\sum_j f(i, j)}

    where g(i, j) is the number of parents that neurons i and j share (j = i included) and f(i, j) whether they share
    any. A neuron of a convolution is a channel at a position; receptive fields are clipped at the border, since
    padding is not a parent. Fully connected, Γ = n_inputs / (γ n_units). The sums factor over axes and channels, so the
    cost is that of one axis.

    Args:
        n_inputs: input features or channels.
        n_units: output features or channels.
        gamma: the paper's hyperparameter γ > 0.
        kernel_size: of a convolution, one number for each axis; None for a fully-connected layer.
        input_size: its input's size, one number for each axis (an int for one axis).
        stride: as torch takes it; so are the next three. ``padding`` may be ``"same"`` or ``"valid"``.
        padding: see ``stride``.
        dilation: see ``stride``.
        groups: see ``stride``.

    Returns:
        Γ. A neuron without parents (a receptive field that is all padding) adds 0.

    Raises:
        ValueError: for sizes that are inconsistent or leave no output.

    References:
        Jin, Yi, Huang 2022, Definition 3. Eq. 14 as printed disagrees with the paper's own value m / (γ n) for
        fully-connected layers; this is the reading that agrees.

    Example:
        >>> structure_coefficient(784, 100)
        7.84
        >>> round(structure_coefficient(3, 8, kernel_size=3, input_size=(32, 32), padding="same"), 6)
        0.001192
    """
    _check_channels(n_inputs, n_units, gamma, groups)
    if kernel_size is None:
        return n_inputs / (gamma * n_units)
    if input_size is None:
        raise ValueError("a convolution's coefficient depends on its borders: give input_size as well as kernel_size")
    ratios = _axis_ratios(kernel_size, input_size, stride, padding, dilation)
    n_neurons = n_units * prod(len(ratio) for ratio in ratios)
    total = n_units * (n_inputs // groups) * prod(ratio.sum().item() for ratio in ratios)
    return total / (gamma * n_neurons**2)


def _axis_ratios(
    kernel_size: Size, input_size: Size, stride: Size, padding: Size | str, dilation: Size
) -> list[Tensor]:
    n_axes = 1 if isinstance(input_size, Integral) else len(_listed(input_size, "input_size"))
    size = _per_axis(input_size, n_axes, "input_size")
    kernel, step, spread = (
        _per_axis(value, len(size), name)
        for value, name in ((kernel_size, "kernel_size"), (stride, "stride"), (dilation, "dilation"))
    )
    pads = _pads(padding, kernel, step, spread)
    return [_shared_ratio(*axis) for axis in zip(size, kernel, step, spread, pads, strict=True)]


def _shared_ratio(size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> Tensor:
    """Σ_q g(p, q) / Σ_q f(p, q) along one axis, for each output position p.

    Positions p and p + shift meet where the tap t of the one is tap t − lag of the other, with lag = shift · stride /
    dilation a whole number; of those taps, the ones inside the input count.
    """
    n_outputs = (size + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1
    if n_outputs < 1:
        raise ValueError(
            f"kernel {kernel} with dilation {dilation} leaves no output for input size {size}, padding {pads}"
        )
    reach = min(n_outputs - 1, (kernel - 1) * dilation // stride)
    if n_outputs * (2 * reach + 1) > MOST_OVERLAPS:
        raise ValueError(
            f"kernel {kernel} on input size {size} has {n_outputs * (2 * reach + 1):.0e} overlaps along one axis, too "
            f"many to count; at most {MOST_OVERLAPS:.0e} are"
        )
    position = torch.arange(n_outputs, dtype=torch.int64, device="cpu")[:, None]
    start = position * stride - pads[0]
    shift = torch.arange(-reach, reach + 1, dtype=torch.int64, device="cpu")
    shift = shift[shift * stride % dilation == 0]
    lag = shift * stride // dilation
    # (n_outputs, n_shifts): first and last common tap inside both kernels and the input
    first = torch.maximum(lag.clamp(min=0), -(start // dilation))
    last = torch.minimum((kernel - 1 + lag).clamp(max=kernel - 1), (size - 1 - start) // dilation)
    shared = (last - first + 1).clamp(min=0)
    shared[(position + shift < 0) | (position + shift >= n_outputs)] = 0
    return shared.sum(1).double() / (shared > 0).sum(1).clamp(min=1)


def _pads(padding: Size | str, kernel: list[int], stride: list[int], dilation: list[int]) -> list[tuple[int, int]]:
    if padding == "same":
        if any(step != 1 for step in stride):
            raise ValueError(f"padding='same' needs stride 1, got {stride}; give the padding in numbers")
        missing = [spread * (taps - 1) for spread, taps in zip(dilation, kernel, strict=True)]
        return [(total // 2, total - total // 2) for total in missing]
    if isinstance(padding, str):
        if padding != "valid":
            raise ValueError(f"padding must be numbers, 'same' or 'valid', got {padding!r}")
        padding = 0
    return [(pad, pad) for pad in _per_axis(padding, len(kernel), "padding", least=0)]


def _per_axis(value: Size, n_axes: int, name: str, least: int = 1) -> list[int]:
    values: list[object] = [value] * n_axes if isinstance(value, Integral) else _listed(value, name)
    if len(values) != n_axes or not n_axes:
        raise ValueError(
            f"{name} must be one number ≥ {least} for each of the {n_axes} axes of input_size, got {value!r}"
        )
    return [check_count(one, name, least=least, most=MOST) for one in values]


def _listed(value: object, name: str) -> list[object]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{name} must be a whole number, or one for each axis, got {value!r}")
    return list(value)


def _check_channels(n_inputs: int, n_units: int, gamma: float, groups: int) -> None:
    for name, count in (("n_inputs", n_inputs), ("n_units", n_units), ("groups", groups)):
        check_count(count, name, most=MOST)
    if n_inputs % groups or n_units % groups:
        raise ValueError(f"groups must divide inputs and units, got groups={groups} for {n_inputs} -> {n_units}")
    check_number(gamma, "gamma", above=0)
