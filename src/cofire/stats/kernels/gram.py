"""Kernel matrices of a layer's samples: their sums at many widths in one pass, their alignment with labels."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import log
from typing import TypeAlias

import torch
from torch import Tensor

from .._base.arrays import Array, as_tensor
from .._base.display import Shown
from .._base.distances import Block, blocks_of_distances, distances_between
from .._base.precision import exactly
from .._base.wording import plural
from ..information.density import finite_points

KERNELS = ("gaussian", "laplacian")
Ends: TypeAlias = tuple[Tensor, ...]


@dataclass(frozen=True)
class WidthScan(Shown):
    """What kernel widths make of a layer, one entry for each of ``bandwidths``; all float64.

    Attributes:
        bandwidths: the widths σ, shape (n_widths,).
        information: −mean log((1/n) Σ_j K_ij), from 0 to log n: the part of the Kolchinsky–Tracey bound that
            depends on the layer.
        leave_one_out: leave-one-out kernel density entropy in nats; inf where a sample has no other within reach.
        alignment: with the label kernel, Eq. 8 of Jin et al.; NaN without labels.
    """

    bandwidths: Tensor
    information: Tensor
    leave_one_out: Tensor
    alignment: Tensor


def gram_matrix(x: Array, bandwidth: float, *, kernel: str = "gaussian") -> Tensor:
    r"""Kernel matrix of the samples.

    .. math:: K_{ij} = \exp(-\|x_i - x_j\|_2^2 / 2\sigma^2) \quad\text{or}\quad \exp(-\|x_i - x_j\|_1 / \sigma)

    Both are characteristic and factor over the units, as the embedding of Jin et al. asks.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,).
        bandwidth: σ, above 0.
        kernel: ``"gaussian"`` or ``"laplacian"``.

    Returns:
        Float64, shape (n_samples, n_samples), ones on the diagonal.

    Raises:
        ValueError: if a value is not finite, or the width or kernel is not one.

    Example:
        >>> gram_matrix(torch.tensor([0.0, 2.0]), 2.0)[0, 1].log().item()
        -0.5
    """
    points = finite_points(x, least=1)
    with exactly(points.device):
        centered = points - points.mean(dim=0)
        return torch.exp(distances_between(centered, centered, kernel) * scale_of(bandwidth, kernel)).fill_diagonal_(1)


def kernel_alignment(a: Array, b: Array) -> Tensor:
    r"""Cosine of two kernel matrices, taken as vectors (Eq. 8 of Jin et al.).

    .. math:: A(K_a, K_b) = \frac{\mathrm{tr}(K_a K_b^\top)}{\|K_a\|_F \|K_b\|_F}

    Args:
        a: kernel matrix, shape (n_samples, n_samples).
        b: another of the same shape.

    Returns:
        Scalar float64; from 0 to 1 for kernels without negative entries.

    Raises:
        ValueError: if the shapes differ.

    References:
        Cristianini et al. 2002, "On kernel-target alignment".

    Example:
        >>> kernel_alignment(torch.eye(4), torch.ones(4, 4)).item()
        0.5
    """
    left, right = as_tensor(a, "a").double(), as_tensor(b, "b").double()
    if left.shape != right.shape or left.ndim != 2:
        raise ValueError(f"kernel matrices must have the same shape, got {tuple(left.shape)} and {tuple(right.shape)}")
    with exactly(left.device):
        return (left * right).sum() / (torch.linalg.matrix_norm(left) * torch.linalg.matrix_norm(right))


def label_kernel(labels: Array) -> Tensor:
    """1 where two samples have the same label and 0 elsewhere, float64, shape (n_samples, n_samples)."""
    values = as_tensor(labels, "labels")
    return (values[:, None] == values).double()


def kernel_width_scan(
    x: Array, bandwidths: Sequence[float] | Tensor, labels: "Array | None" = None, *, kernel: str = "gaussian"
) -> WidthScan:
    """Entropy bounds and label alignment at many kernel widths, in one pass over the pairs; K is never stored.

    Samples are centered first, so an offset costs no digits. On the CPU the sums of a block are one compiled loop
    for each width; elsewhere they are tensor operations.

    Args:
        x: samples, shape (n_samples, n_units) or (n_samples,), at least two.
        bandwidths: kernel widths σ, above 0.
        labels: one class for each sample.
        kernel: ``"gaussian"`` or ``"laplacian"``.

    Returns:
        One entry for each width; see :class:`WidthScan`.

    Raises:
        ValueError: if a value is not finite, a width not above 0, or the labels are not one for each sample.

    Example:
        >>> x = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> scan = kernel_width_scan(x, [0.01, 1.0, 100.0], torch.tensor([0, 0, 1, 1]))
        >>> [round(value, 2) for value in scan.alignment.tolist()]
        [0.71, 1.0, 0.71]
    """
    points = finite_points(x)
    widths = torch.as_tensor(bandwidths, dtype=torch.float64, device="cpu").flatten().tolist()
    with exactly(points.device):
        classes = _classes(labels, points)
        sums = _kernel_sums(points, widths, classes, kernel)
        others, inner, squares = sums
        n_samples, n_units = points.shape
        information = log(n_samples) - torch.log1p(others).mean(dim=1)
        norms = torch.tensor(
            [log_normalizer(width, n_units, kernel) for width in widths], dtype=torch.float64, device=points.device
        )
        leave_one_out = norms + log(n_samples - 1) - others.log().mean(dim=1)
        _, counts = classes.unique(return_counts=True)
        alignment = (inner + n_samples) / ((squares + n_samples).sqrt() * counts.double().square().sum().sqrt())
        if labels is None:
            alignment = torch.full_like(alignment, torch.nan)
        return WidthScan(points.new_tensor(widths), information, leave_one_out, alignment)


def scale_of(bandwidth: float, kernel: str) -> float:
    """Factor of the distances in the exponent."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    if not 0 < bandwidth < torch.inf:
        raise ValueError(f"bandwidth must be above 0 and finite, got {bandwidth}")
    return -1 / bandwidth if kernel == "laplacian" else -0.5 / bandwidth**2


def log_normalizer(bandwidth: float, n_units: int, kernel: str) -> float:
    """Log of the kernel's integral over the space of the units."""
    return n_units * (log(2 * bandwidth) if kernel == "laplacian" else log(2 * torch.pi * bandwidth**2) / 2)


def _classes(labels: "Array | None", points: Tensor) -> Tensor:
    if labels is None:
        return torch.zeros(len(points), dtype=torch.int64, device=points.device)
    values = as_tensor(labels, "labels").to(points.device)
    if values.shape != points.shape[:1]:
        raise ValueError(
            f"labels must be one for each of {plural(len(points), 'sample')}, got shape {tuple(values.shape)}"
        )
    return values.unique(return_inverse=True)[1]


def _kernel_sums(points: Tensor, widths: list[float], classes: Tensor, kernel: str) -> tuple[Tensor, Tensor, Tensor]:
    """Off the diagonal, for each width: Σ_j K_ij (n_widths, n_samples), Σ K over equal classes, Σ K².

    The samples are taken class after class, so that a row's own class is a range of columns.
    """
    scales = points.new_tensor([scale_of(width, kernel) for width in widths])
    classes, order = classes.sort()
    first, last = torch.searchsorted(classes, classes), torch.searchsorted(classes, classes, right=True)
    rows, sums = points.new_zeros(len(widths), len(points)), points.new_zeros(2, len(widths))
    n_parts = torch.get_num_threads() if points.device.type == "cpu" else 1
    parts = (scales.tensor_split(n_parts), rows.tensor_split(n_parts), sums.tensor_split(n_parts, 1))
    with ThreadPoolExecutor(n_parts) as threads:
        # a GPU's work stays on this thread, whose stream it must follow
        each = threads.map if n_parts > 1 else map
        for block in blocks_of_distances(points[order], kernel):
            height, width = block.values.shape
            own = slice(block.row, block.row + height)
            ends = tuple((end[own] - block.column).clamp_(0, width) for end in (first, last))
            list(each(partial(_add, block, ends), *parts))
    return rows[:, order.argsort()], sums[0], sums[1]


def _add(block: Block, ends: Ends, scales: Tensor, rows: Tensor, sums: Tensor) -> None:
    """Add a block's sums at some widths; on the diagonal, where rows and columns are one, the columns go nowhere."""
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

    block_sums(*(array.numpy() for array in arrays))  # in one piece each: others go by a slower loop


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
    """As ``block_sums``, which says what the arguments are."""
    at = torch.arange(distances.shape[1], device=distances.device)
    same = ((at >= first[:, None]) & (at < last[:, None])).to(distances.dtype)
    for width, scale in enumerate(scales):
        kernel = (distances * scale).exp_()
        rows[width] += kernel.sum(dim=1)
        columns[width] += kernel.sum(dim=0)
        inner[width] += (kernel * same).sum()
        squares[width] += kernel.square().sum()
