"""Kernel matrices of a layer's samples, their sums at many widths in one pass, and their alignment with labels."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import log
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from .._base.argument_checks import check_choice, check_number
from .._base.arrays import Array, as_tensor
from .._base.display import Shown
from .._base.distances import Block, blocks_of_distances, distances_between, rows_at_a_time
from .._base.nan_policy import check_finite
from .._base.precision import exactly
from .._base.wording import plural
from ..information.density import finite_points

KERNELS = ("gaussian", "laplacian")
BLOCKS_A_TURN = 16  # of 2 MiB each, on the CPU
UNDERFLOWN = 1e-280
"""Sums below this may lack terms: the compiled kernel is 0 below 1e-304."""
NEGLIGIBLE = 45.0  # exp(-45) is 3e-20: even a million such terms vanish beside the largest
Ends: TypeAlias = tuple[Tensor, ...]
"""First and last column of each row's own class in a block."""


@dataclass(frozen=True)
class WidthScan(Shown):
    """Entropies and label alignment of a layer at each kernel width; all float64, shape (n_widths,).

    Attributes:
        bandwidths: the widths σ.
        information: −mean log((1/n) Σ_j K_ij), from 0 to log n: the part of the Kolchinsky–Tracey bound that
            depends on the layer.
        leave_one_out: leave-one-out kernel density entropy in nats.
        alignment: alignment with the label kernel, Eq. 8 of Jin et al.; NaN without labels.
    """

    bandwidths: Tensor
    information: Tensor
    leave_one_out: Tensor
    alignment: Tensor


def gram_matrix(x: Array, bandwidth: float, *, kernel: str = "gaussian") -> Tensor:
    r"""Return the kernel matrix of the samples.

    .. math:: K_{ij} = \exp(-\|x_i - x_j\|_2^2 / 2\sigma^2) \quad\text{or}\quad \exp(-\|x_i - x_j\|_1 / \sigma)

    Both kernels are characteristic and factor over the units, as the embedding of Jin et al. requires.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        bandwidth: σ, above 0.
        kernel: ``"gaussian"`` or ``"laplacian"``.

    Returns:
        Float64, shape (n_samples, n_samples), ones on the diagonal.

    Raises:
        ValueError: if a value is not finite, ``bandwidth`` is not above 0, or ``kernel`` is unknown.

    Example:
        >>> gram_matrix(torch.tensor([0.0, 2.0]), 2.0)[0, 1].log().item()
        -0.5
    """
    points = finite_points(x, least=1)
    with exactly(points.device):
        own = torch.arange(len(points), device=points.device)
        distances = distances_between(points, points, kernel, own)
        above = distances.mul_(scale_of(bandwidth, kernel)).exp_().triu_(1)
        # mirrored, as products round differently on either side of the diagonal
        return (above + above.T).fill_diagonal_(1)


def kernel_alignment(a: Array, b: Array) -> Tensor:
    r"""Return the cosine of two kernel matrices, taken as vectors (Eq. 8 of Jin et al.).

    .. math:: A(K_a, K_b) = \frac{\mathrm{tr}(K_a K_b^\top)}{\|K_a\|_F \|K_b\|_F}

    Args:
        a: kernel matrix, shape (n_samples, n_samples).
        b: another of the same shape.

    Returns:
        Scalar float64; between 0 and 1 if no entry is negative. NaN if a matrix is all 0 or not finite.

    Raises:
        ValueError: if the shapes differ or are not square.

    References:
        Cristianini et al. 2002, "On kernel-target alignment".

    Example:
        >>> kernel_alignment(torch.eye(4), torch.ones(4, 4)).item()
        0.5
    """
    left, right = as_tensor(a, "a").double(), as_tensor(b, "b").double()
    if left.shape != right.shape or left.ndim != 2 or left.shape[0] != left.shape[1] or not len(left):
        raise ValueError(
            f"kernel matrices must have the same shape (n_samples, n_samples), got {tuple(left.shape)} and "
            f"{tuple(right.shape)}"
        )
    with exactly(left.device):
        # divided by their largest entries first, so that no square overflows
        left, right = left / left.abs().amax(), right.to(left.device) / right.abs().amax()
        cosine = (left * right).sum() / (torch.linalg.matrix_norm(left) * torch.linalg.matrix_norm(right))
        return cosine.clamp(-1, 1)  # rounding may carry it beyond


def label_kernel(labels: Array) -> Tensor:
    """Return 1 where two samples have the same label and 0 elsewhere, float64, shape (n_samples, n_samples)."""
    values = as_tensor(labels, "labels")
    return (values[:, None] == values).double()


def kernel_width_scan(
    x: Array, bandwidths: Sequence[float] | Tensor, labels: "Array | None" = None, *, kernel: str = "gaussian"
) -> WidthScan:
    """Compute entropies and label alignment at many kernel widths, in one pass over the pairs; K is never stored.

    Neither an offset of all samples nor a large distance between clusters costs digits. On the CPU a compiled loop
    sums each block of pairs; other devices use tensor operations.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,), at least two.
        bandwidths: kernel widths σ, above 0.
        labels: one class for each sample.
        kernel: ``"gaussian"`` or ``"laplacian"``.

    Returns:
        One entry for each width; see :class:`WidthScan`.

    Raises:
        ValueError: if a value is not finite, a width is not above 0, or there is not one label for each sample.

    Example:
        >>> x = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> scan = kernel_width_scan(x, [0.01, 1.0, 100.0], torch.tensor([0, 0, 1, 1]))
        >>> [round(value, 2) for value in scan.alignment.tolist()]
        [0.71, 1.0, 0.71]
    """
    points = finite_points(x)
    widths = as_widths(bandwidths)
    with exactly(points.device):
        classes = _classes(labels, points)
        others, inner, squares = kernel_sums(points, widths, classes, kernel)
        n_samples, n_units = points.shape
        information = log(n_samples) - torch.log1p(others).mean(dim=1)
        norms = torch.tensor(
            [log_normalizer(width, n_units, kernel) for width in widths], dtype=torch.float64, device=points.device
        )
        leave_one_out = norms + log(n_samples - 1) - _log_sums(points, widths, others, kernel).mean(dim=1)
        _, counts = classes.unique(return_counts=True)
        alignment = (inner + n_samples) / ((squares + n_samples).sqrt() * counts.double().square().sum().sqrt())
        if labels is None:
            alignment = torch.full_like(alignment, torch.nan)
        return WidthScan(points.new_tensor(widths), information, leave_one_out, alignment)


def as_widths(bandwidths: Sequence[float] | Tensor) -> list[float]:
    """Return kernel widths as numbers.

    Raises:
        ValueError: if there is none, or one is not a finite number above 0.
    """
    some = as_tensor(bandwidths, "bandwidths") if isinstance(bandwidths, Tensor | np.ndarray) else bandwidths
    if isinstance(some, str) or not isinstance(some, Tensor | Sequence):
        raise ValueError(f"bandwidths must be a list or array of kernel widths, got {bandwidths!r}")
    each = some.flatten() if isinstance(some, Tensor) else some
    widths = [check_number(width, "bandwidth", above=0) for width in each]
    if not widths:
        raise ValueError("bandwidths must hold at least one kernel width, got none")
    return widths


def scale_of(bandwidth: float, kernel: str) -> float:
    """Return the factor of the distances in the kernel's exponent."""
    check_choice(kernel, "kernel", KERNELS)
    bandwidth = check_number(bandwidth, "bandwidth", above=0)
    # divided twice, as the square of a very large width overflows; never -0, as a sample is infinitely far from itself
    return min(-1 / bandwidth if kernel == "laplacian" else -0.5 / bandwidth / bandwidth, -5e-324)


def log_normalizer(bandwidth: float, n_units: int, kernel: str) -> float:
    """Return the log of the kernel's integral over the space of the units."""
    return n_units * (log(2) if kernel == "laplacian" else log(2 * torch.pi) / 2) + n_units * log(bandwidth)


def _classes(labels: "Array | None", points: Tensor) -> Tensor:
    if labels is None:
        return torch.zeros(len(points), dtype=torch.int64, device=points.device)
    return check_finite(as_labels(labels, points), "labels").unique(return_inverse=True)[1]


def as_labels(labels: Array, points: Tensor) -> Tensor:
    """Return labels as a tensor of shape (n_samples,) on the device of the samples.

    Raises:
        ValueError: if there is not one label for each sample.
    """
    values = as_tensor(labels, "labels").to(points.device)
    if values.shape != points.shape[:1]:
        raise ValueError(
            f"expected one label for each of {plural(len(points), 'sample')}, got shape {tuple(values.shape)}"
        )
    return values


def kernel_sums(
    points: Tensor, widths: list[float], classes: Tensor, kernel: str = "gaussian"
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sums over the off-diagonal entries of K at each width.

    Returns:
        Σ_j K_ij for each sample, shape (n_widths, n_samples); Σ K over samples of the same class, shape (n_widths,);
        Σ K², shape (n_widths,).
    """
    scales = points.new_tensor([scale_of(width, kernel) for width in widths])
    # sorted by class, so that the samples of a row's own class are a range of columns
    classes, order = classes.sort()
    first, last = torch.searchsorted(classes, classes), torch.searchsorted(classes, classes, right=True)
    rows, sums = points.new_zeros(len(widths), len(points)), points.new_zeros(2, len(widths))
    # threads share each block, which is in the cache, and split the widths
    n_parts = torch.get_num_threads() if points.device.type == "cpu" else 1
    parts = (scales.tensor_split(n_parts), rows.tensor_split(n_parts), sums.tensor_split(n_parts, 1))
    with ThreadPoolExecutor(n_parts) as threads:
        # a GPU's work stays on this thread, whose stream it must follow
        each = threads.map if n_parts > 1 else map
        # several products, then several sums: torch's threads go on spinning after a product and would hold the cores
        # that the sums want, once for each block
        blocks = blocks_of_distances(points[order], kernel)
        while some := list(islice(blocks, BLOCKS_A_TURN if n_parts > 1 else 1)):
            for block in some:
                height, width = block.values.shape
                own = slice(block.row, block.row + height)
                ends = tuple((end[own] - block.column).clamp_(0, width) for end in (first, last))
                list(each(partial(_add, block, ends), *parts))
    return rows[:, order.argsort()], sums[0], sums[1]


def _log_sums(points: Tensor, widths: list[float], sums: Tensor, kernel: str) -> Tensor:
    """Return log Σ_j≠i K_ij, shape (n_widths, n_samples), given the sums.

    Where a sample is far from all others for a width, every term of its sum underflows although the logarithm is an
    ordinary number. There the largest term, that of the nearest sample, is factored out.
    """
    logs, small = sums.log(), sums < UNDERFLOWN
    scales = points.new_tensor([scale_of(width, kernel) for width in widths])
    rows = small.any(dim=0).nonzero().flatten()
    for own in rows.split(rows_at_a_time(points)) if len(rows) else ():
        distances = distances_between(points[own], points, kernel, own)
        nearest = distances.amin(dim=1)
        # beyond this distance terms vanish beside the largest, even at the widest kernel in question: few pairs remain
        widest = torch.where(small[:, own], scales[:, None], -torch.inf).amax(dim=0)
        at_row, column = (distances <= (nearest - NEGLIGIBLE / widest)[:, None]).nonzero(as_tuple=True)
        excess = distances[at_row, column] - nearest[at_row]
        for at in small[:, own].any(dim=1).nonzero().flatten().tolist():
            ratios = torch.zeros_like(nearest).index_add_(0, at_row, (excess * scales[at]).exp_())
            logs[at, own] = torch.where(small[at, own], nearest * scales[at] + ratios.log(), logs[at, own])
    return logs


def _add(block: Block, ends: Ends, scales: Tensor, rows: Tensor, sums: Tensor) -> None:
    """Add a block's sums at some widths. A diagonal block is symmetric: its column sums repeat its row sums."""
    height, width = block.values.shape
    own, others = rows.new_zeros(len(scales), height), rows.new_zeros(len(scales), width)
    of_block = torch.zeros_like(sums)
    add: Callable[..., None] = _add_compiled if rows.device.type == "cpu" else _add_by_tensors
    add(block.values, *ends, scales, own, others, *of_block)
    rows[:, block.row : block.row + height] += own
    if block.weight == 2:
        rows[:, block.column : block.column + width] += others
    sums.add_(of_block, alpha=block.weight)


def _add_compiled(*arrays: Tensor) -> None:
    from .kernel_sums_numba import block_sums

    # every array is contiguous; numba compiles a second, slower loop for strided ones
    block_sums(*(array.numpy() for array in arrays))


def _add_by_tensors(
    distances: Tensor,
    first: Tensor,
    last: Tensor,
    scales: Tensor,
    rows: Tensor,
    columns: Tensor,
    inner: Tensor,
    squares: Tensor,
) -> None:
    """Do the same as ``block_sums``, with the same arguments, by tensor operations."""
    at = torch.arange(distances.shape[1], device=distances.device)
    same = ((at >= first[:, None]) & (at < last[:, None])).to(distances.dtype)
    for width, scale in enumerate(scales):
        kernel = (distances * scale).exp_()
        rows[width] += kernel.sum(dim=1)
        columns[width] += kernel.sum(dim=0)
        inner[width] += (kernel * same).sum()
        squares[width] += kernel.square().sum()
