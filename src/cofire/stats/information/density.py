"""Checks for a density: without one, as for atoms and dependent units, the differential entropy is −∞."""

from math import ceil

import torch
from torch import Tensor

from .._base.arrays import Array, as_points
from .._base.nan_policy import check_finite
from .._base.scaling import column_means
from .._base.wording import plural
from .engine.thresholds import ATOM_SHARE, LEVELS_BESIDE_LONE, LONE_ATOM, LONE_ATOM_PROMINENCE, MANY_TIES

# Squares of differences beyond this, or below its inverse, overflow or underflow in float64.
MOST_SPREAD = 1e140


def finite_points(x: Array, least: int = 2) -> Tensor:
    """Return ``x`` as finite float64 samples, shape (n_samples, n_units), at least ``least`` of them."""
    return enough_points(check_finite(as_points(x)), least)


def enough_points(points: Tensor, least: int = 2) -> Tensor:
    """Return finite samples as float64, if there are enough of them and their squares stay in range."""
    if len(points) < least:
        raise ValueError(f"need at least {least} samples, got {len(points)}")
    return within_range(points.double())


def within_range(points: Tensor) -> Tensor:
    """Return float64 samples unchanged, if the squares of their differences stay within float64.

    Raises:
        ValueError: if the spread of a unit that varies is too large or too small.
    """
    if not len(points):
        return points
    spread = points.amax(dim=0) / 2 - points.amin(dim=0) / 2  # halved first, so that it cannot overflow
    extreme = (spread > 0) & ((spread > MOST_SPREAD) | (spread < 1 / MOST_SPREAD))
    if bool(extreme.any()):
        raise ValueError(
            f"{int(extreme.sum())} of {plural(len(spread), 'unit')} of x spread over some "
            f"{float(spread[extreme][0]):.0e}, whose square is out of range for float64; divide x by a constant c, "
            "which lowers an entropy by log c for each unit"
        )
    return points


def too_many_ties(n_tied: int, n_samples: int) -> bool:
    """Return whether more samples coincide with their k-th neighbor than rounding explains.

    Measured on rounded normal samples: at 2 % the entropy is off by .04, at 8 % by .15, at 26 % by .5.
    """
    return n_tied > ATOM_SHARE * n_samples


def has_density(points: Tensor, n_neighbors: int) -> bool:
    """Return False if a unit has an atom, or if the covariance shows that the units lie in a subspace."""
    if bool((units_without_density(points, n_neighbors) | units_with_lone_atoms(points, n_neighbors)).any()):
        return False
    n_samples, n_units = points.shape
    return n_units == 1 or n_samples <= n_units or not is_singular(whitening(points).eigenvalues)


def units_without_density(points: Tensor, n_neighbors: int) -> Tensor:
    """Return which columns have an atom, or are integers with repetitions.

    An atom is a value that more than 2 % of the samples share, and more than ``n_neighbors`` samples.
    """
    ordered = points.sort(dim=0).values

    def some_value_is_held_by_more_than(count: int) -> Tensor:
        return (ordered[count:] == ordered[: max(len(ordered) - count, 0)]).any(dim=0)

    integers = (points == points.round()).all(dim=0)
    atoms = some_value_is_held_by_more_than(max(n_neighbors, ceil(ATOM_SHARE * len(points))))
    return atoms | (integers & some_value_is_held_by_more_than(n_neighbors))


def units_with_lone_atoms(points: Tensor, n_neighbors: int) -> Tensor:
    """Return which columns have a value that too few samples share to tell by their share, but that stands alone.

    One in a hundred samples at 0, as after a ReLU, are no accident if hardly any other value repeats. Rounding would
    also tie the values beside it, however coarse it is.
    """
    least = max(n_neighbors, LONE_ATOM) + 1
    ordered = points.sort(dim=0).values
    found = (ordered[least - 1 :] == ordered[: max(len(ordered) - least + 1, 0)]).any(dim=0)
    for unit in found.nonzero().flatten().tolist():
        counts = torch.unique_consecutive(ordered[:, unit], return_counts=True)[1].double()
        total = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        at = torch.arange(len(counts), device=counts.device)
        low, high = (at - LEVELS_BESIDE_LONE).clamp(min=0), (at + 1 + LEVELS_BESIDE_LONE).clamp(max=len(counts))
        beside = (total[high] - total[low] - counts) / (high - low - 1)
        found[unit] = bool(((counts >= least) & (counts >= LONE_ATOM_PROMINENCE * beside)).any())
    return found


class Whitening:
    r"""The covariance as :math:`S = D R D`, :math:`R = V \Lambda V^\top`, which treats units of any scale alike.

    Attributes:
        standardized: the samples minus their mean, each unit divided by its deviation.
        log_scales: log of the deviations, the diagonal of D.
        eigenvalues: of the correlation matrix R, ascending.
        vectors: its eigenvectors, one per column.
    """

    def __init__(self, points: Tensor) -> None:
        centered = points - column_means(points)
        scales = torch.linalg.vector_norm(centered, dim=0) / (len(points) - 1) ** 0.5
        self.standardized = centered / scales
        self.log_scales = scales.log()
        correlation = self.standardized.T @ self.standardized / (len(points) - 1)
        self.eigenvalues, self.vectors = torch.linalg.eigh(correlation)

    def half_log_determinant(self) -> Tensor:
        """Return ½ log det S."""
        return self.log_scales.sum() + self.eigenvalues.log().sum() / 2

    def samples(self) -> Tensor:
        """Return the samples in coordinates of unit covariance, where Euclidean distances are Mahalanobis distances."""
        return self.standardized @ self.vectors / self.eigenvalues.sqrt()


def whitening(points: Tensor) -> Whitening:
    """Decompose the covariance of the samples.

    Raises:
        ValueError: if there are no more samples than units, as the covariance is then singular for any layer.
    """
    n_samples, n_units = points.shape
    if n_samples <= n_units:
        raise ValueError(
            f"the covariance of {plural(n_units, 'unit')} needs more than {n_units} samples, got {n_samples}; "
            "take more samples or fewer units"
        )
    return Whitening(points)


def is_singular(eigenvalues: Tensor) -> bool:
    """Return whether a correlation matrix has an eigenvalue that rounding alone explains."""
    return bool(eigenvalues[0] <= 10 * len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps)


NO_DENSITY = (
    "{}, so there is no density and nearest neighbors mislead; use mutual_information(x, y), or "
    'method="default" of dependence_score, which handle atoms and ties'
)


def refuse_ties(points: Tensor, n_neighbors: int, name: str) -> None:
    """Raise ``ValueError`` for columns that have an atom, or more ties than distances to neighbors allow.

    Measured on rounded normal samples: with a quarter of them tied, Kraskov's estimator is off by .01.
    """
    atoms = units_without_density(points, n_neighbors)
    ordered = points.sort(dim=0).values
    same = torch.zeros_like(ordered[:1], dtype=torch.bool)
    with_next = torch.cat([ordered[1:] == ordered[:-1], same])
    tied = (with_next | torch.cat([same, with_next[:-1]])).double().mean(dim=0)
    refused = int((atoms | (tied > MANY_TIES)).sum())
    if refused:
        has = "has" if refused == 1 else "have"
        told = f"{refused} of {plural(points.shape[1], 'unit')} of {name} {has} an atom or many ties"
        raise ValueError(NO_DENSITY.format(told))
