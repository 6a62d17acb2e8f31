"""The information of many pairs of units by each method: compiled search on the CPU, tiles of tensors elsewhere.

Each takes ``points``, float64, shape (n_samples, n_units), the numbers of the ``pairs``, shape (n_pairs, 2), and the
number of neighbors; and gives float64, shape (n_pairs,), where the points are. What compiles or imports slowly waits
until it is needed.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..density import refuse_ties

SUSPICIOUS = 0.25  # information from which on it is looked whether one unit is a function of the other


def three_entropies(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """H(x) + H(y) − H(x, y), as Zhang et al.; refuses units with atoms or many ties."""
    refuse_ties(points, k, "x")
    if points.device.type != "cpu":
        from .torch_pairs import three_entropies_by_tiles

        return three_entropies_by_tiles(points, pairs, k)
    from .pair_search import three_entropies_of_pairs
    from .unit_scores import standardized_units

    return torch.from_numpy(three_entropies_of_pairs(standardized_units(_rows(points)), pairs, k))


def kraskov(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """Kraskov's first estimator; refuses units with atoms or many ties."""
    refuse_ties(points, k, "x")
    if points.device.type != "cpu":
        from .torch_pairs import kraskov_by_tiles

        return kraskov_by_tiles(points, pairs, k)
    from .pair_search import information_of_pairs
    from .unit_scores import standardized_units

    return torch.from_numpy(information_of_pairs(standardized_units(_rows(points)), pairs, k))


def whatever_they_are(points: Tensor, pairs: NDArray[np.intp], k: int) -> Tensor:
    """By counting atoms, Ross and Kraskov, of normal scores."""
    if points.device.type != "cpu":
        from .torch_pairs import information_by_tiles

        return information_by_tiles(points, pairs, k, SUSPICIOUS)
    from .pair_search import information_of_pairs
    from .unit_scores import scored_units

    return torch.from_numpy(information_of_pairs(scored_units(_rows(points)), pairs, k, SUSPICIOUS))


def _rows(points: Tensor) -> NDArray[np.float64]:
    return points.T.contiguous().numpy()
