"""Entropy from the distances to nearest neighbors (Kozachenko and Leonenko), of samples that were checked before."""

from math import inf, lgamma, log, pi

import torch
from torch import Tensor

from .._base.precision import exactly
from .density import has_density, too_many_ties, units_with_lone_atoms, units_without_density, whitening
from .neighbors import kth_distance_on_lines, kth_euclidean_distance, kth_neighbor_distance

EUCLIDEAN, MAXIMUM = 2.0, inf
DISTANCES_AT_A_TIME = 1 << 22


def joint_entropy(points: Tensor, n_neighbors: int, whiten: bool = False) -> Tensor:
    """Compute :func:`entropy_knn` of finite float64 samples, without its warnings."""
    with exactly(points.device):
        if not has_density(points, n_neighbors):
            return points.new_tensor(-inf)
        if not whiten:
            return kozachenko_leonenko(points, kth_neighbor_distance(points, n_neighbors), n_neighbors, MAXIMUM)
        spread = whitening(points)
        white = spread.samples()
        distance = kth_euclidean_distance(white, n_neighbors)
        return kozachenko_leonenko(white, distance, n_neighbors, EUCLIDEAN) + spread.half_log_determinant()


def entropies_alone(points: Tensor, n_neighbors: int) -> Tensor:
    """Return the entropy of each unit of finite float64 samples, shape (n_units,); −∞ for one without a density."""
    with exactly(points.device):
        ordered = points.sort(dim=0).values
        distances = kth_distance_on_lines(ordered, n_neighbors)
        found = _digamma(len(points)) - _digamma(n_neighbors) + (2 * distances).log().mean(dim=0)
        for unit in (distances == 0).any(dim=0).nonzero().flatten().tolist():
            found[unit] = kozachenko_leonenko(ordered[:, [unit]], distances[:, unit], n_neighbors, MAXIMUM)
        atoms = units_without_density(points, n_neighbors) | units_with_lone_atoms(points, n_neighbors)
        return found.masked_fill_(atoms, -inf)


def kozachenko_leonenko(points: Tensor, distances: Tensor, n_neighbors: int, norm: float) -> Tensor:
    """Return the entropy from the distances to the k-th neighbors under a norm; −∞ if too many of them are 0."""
    n_samples, n_units = points.shape
    coinciding = (distances == 0).nonzero().flatten()
    if too_many_ties(len(coinciding), n_samples):
        return points.new_tensor(-inf)
    ranks = torch.full_like(distances, n_neighbors)
    if len(coinciding):
        distances = distances.clone()
        distances[coinciding], ranks[coinciding] = _first_apart(points, coinciding, norm)
    mean_digamma = torch.special.digamma(ranks).mean()
    # of the unit ball
    log_volume = n_units / 2 * log(pi) - lgamma(n_units / 2 + 1) if norm == EUCLIDEAN else n_units * log(2)
    return _digamma(n_samples) - mean_digamma + log_volume + n_units * distances.log().mean()


def _first_apart(points: Tensor, which: Tensor, norm: float) -> tuple[Tensor, Tensor]:
    """Return, for samples that coincide with others, the nearest distance above 0 and which neighbor has it."""
    nearest, ranks = [], []
    for some in which.split(max(1, DISTANCES_AT_A_TIME // len(points))):
        far = torch.cdist(points[some], points, p=norm, compute_mode="donot_use_mm_for_euclid_dist")
        ranks.append((far == 0).sum(dim=1))  # counts the sample itself, so this is the rank of the first one apart
        nearest.append(far.masked_fill_(far == 0, inf).amin(dim=1))
    return torch.cat(nearest), torch.cat(ranks).to(points.dtype)


def _digamma(value: int) -> float:
    return torch.special.digamma(torch.tensor(float(value), dtype=torch.float64, device="cpu")).item()
