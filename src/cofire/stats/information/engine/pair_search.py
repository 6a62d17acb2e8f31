"""The search over many pairs of units: compiled measures in threads, in portions between which it can be stopped."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import digamma
from torch import Tensor

from ..._base.progress import progress
from ..._base.wording import plural
from ..density import refuse_ties
from ..neighbors import kth_distance_on_lines
from .arrangement import Room, empty_room
from .continuous_pairs import joint_log_distances, number_information
from .deterministic import NO, find_orders, order_information, shares_on_lines
from .functions import find_determined, find_functions, information_of_levels
from .nearest import neighbors_of
from .thresholds import MANY_TIES, SINGULAR_SHARE, SUSPICIOUS
from .unit_scores import Units, scored_units, standardized_units

SAMPLES_A_PORTION = 1 << 19  # some hundredths of a second
Indices: TypeAlias = NDArray[np.intp]
Values: TypeAlias = NDArray[np.float64]


def pair_information(points: Tensor, pairs: Indices, method: str, k: int) -> Tensor:
    """Return the information of many pairs of units, in nats, float64, shape (n_pairs,).

    The search runs on the host: samples on another device are copied here, and the result is copied back.

    Args:
        points: float64, shape (n_samples, n_units), no unit constant.
        pairs: numbers of the units, shape (n_pairs, 2).
        method: "3h", "ksg" or "default", as for :func:`cofire.stats.dependence_score`.
        k: number of neighbors.

    Raises:
        ValueError: if the method wants a density, and a unit has an atom or many ties.
    """
    host = points.cpu()
    rows = host.T.contiguous().numpy()
    if method == "default":
        found = information_of_pairs(scored_units(rows), pairs, k)
    else:
        refuse_ties(host, k, "x")
        measure = three_entropies_of_pairs if method == "3h" else information_of_pairs
        units = standardized_units(rows)
        ascending = np.take_along_axis(units.score, units.order.astype(np.intp), axis=1)
        collapsed = int(((np.diff(ascending, axis=1) == 0).mean(axis=1) > MANY_TIES).sum())
        if collapsed:
            _refuse_collapsed(collapsed, len(rows))
        found = measure(units, pairs, k)
    return torch.from_numpy(found).to(points.device)


def _refuse_collapsed(n_units: int, of: int) -> None:
    raise ValueError(
        f"{n_units} of {plural(of, 'unit')} of x have outliers so far out that the other samples coincide once divided "
        'by the standard deviation; remove the outliers, or use method="default", which takes ranks'
    )


def three_entropies_of_pairs(units: Units, pairs: Indices, k: int) -> Values:
    """Return H(x) + H(y) − H(x, y) of each pair of units without atoms."""
    n_samples = units.score.shape[1]
    ascending = torch.from_numpy(np.take_along_axis(units.score, units.order.astype(np.intp), axis=1))
    alone = kth_distance_on_lines(ascending.T, k).double().log().mean(dim=0).numpy()
    if not np.isfinite(alone).all():
        _refuse_collapsed(int((~np.isfinite(alone)).sum()), len(alone))

    def measure(portion: Indices, room: Room) -> Values:
        together = np.empty(len(portion))
        joint_log_distances(units, portion, neighbors_of(k), room, together)
        together[~np.isnan(_known(units, portion, room))] = -np.inf
        return together

    together = _in_threads(measure, n_samples, pairs, k)
    return digamma(n_samples) - digamma(k) + alone[pairs].sum(axis=1) - 2 * together


def information_of_pairs(units: Units, pairs: Indices, k: int) -> Values:
    """Return the information of each pair by counting, Ross and Kraskov; see :mod:`.atoms`.

    A pair of smooth units that shares much is checked for curves, on which the information is infinite.
    """
    psi = _digammas(units.score.shape[1])

    def measure(portion: Indices, room: Room) -> Values:
        information = np.empty(len(portion))
        number_information(units, portion, neighbors_of(k), psi, room, information)
        smooth = units.smooth[portion].all(axis=1)
        singular = _singular(units, portion, (information > SUSPICIOUS) & smooth & (k > 1), k, room)
        singular |= _functions(units, portion, smooth & ~singular, room)
        known = _known(units, portion, room)
        information = np.where(singular, np.inf, information)
        information = np.where(np.isnan(known), information, known)
        information = _with_labels(units, portion, k, psi, information)
        of_levels = _of_levels(units, portion)
        return np.where(np.isnan(of_levels), information, of_levels)

    return _in_threads(measure, units.score.shape[1], pairs, k)


def _known(units: Units, pairs: Indices, room: Room) -> Values:
    """Return the information of pairs in which one unit is a monotone function of the other, NaN for other pairs."""
    orders, known = np.empty(len(pairs), np.intp), np.full(len(pairs), np.nan)
    find_orders(units, pairs, room.by_x, orders)
    some = orders != NO
    if some.any():
        found = np.empty(some.sum())
        order_information(units, pairs[some], orders[some], room.by_x, found)
        known[some] = found
    return known


def _singular(units: Units, pairs: Indices, doubtful: NDArray[np.bool_], k: int, room: Room) -> NDArray[np.bool_]:
    """Return which of the doubtful pairs lie on smooth curves, at least in part."""
    singular = np.zeros(len(pairs), np.bool_)
    if doubtful.any():
        shares = np.empty(doubtful.sum())
        shares_on_lines(units, pairs[doubtful], neighbors_of(k), room, shares)
        singular[doubtful] = shares > SINGULAR_SHARE
    return singular


def _functions(units: Units, pairs: Indices, asked: NDArray[np.bool_], room: Room) -> NDArray[np.bool_]:
    """Return in which of the asked pairs one unit is a smooth function of the other, however often it turns."""
    found = np.zeros(len(pairs), np.bool_)
    if asked.any():
        of_asked = np.zeros(asked.sum(), np.bool_)
        find_functions(units, pairs[asked], room.by_x, of_asked)
        found[asked] = of_asked
    return found


def _of_levels(units: Units, pairs: Indices) -> Values:
    """Return the information of pairs in which the repeated values of one unit determine the other, NaN for others."""
    found = np.full(len(pairs), np.nan)
    asked = (units.n_levels[pairs] > 0).any(axis=1)
    if asked.any():
        which = np.zeros(len(pairs), np.intp)
        of_asked = np.zeros(asked.sum(), np.intp)
        find_determined(units, pairs[asked], np.empty(units.level.shape[1], np.intp), of_asked)
        which[asked] = of_asked
        for pair in np.flatnonzero(which):
            by, of = pairs[pair] if which[pair] == 1 else pairs[pair][::-1]
            found[pair] = information_of_levels(units.value[of], int(units.n_levels[by]))
    return found


def _with_labels(units: Units, pairs: Indices, k: int, psi: Values, information: Values) -> Values:
    """Add the information of the atoms to that between continuous samples."""
    if (units.n_labels[pairs] == 1).all():
        return information
    from .atoms import empty_label_room, label_information

    of_labels, share = np.empty((2, len(pairs)))
    room = empty_label_room(units.score.shape[1], int(units.n_labels.max()))
    label_information(units, pairs, k, psi, room, of_labels, share)
    return of_labels + share * np.where(share > 0, information, 0.0)


def _digammas(n_samples: int) -> Values:
    """Return ψ of 0 … n_samples, with ψ(1) at 0: a sample that coincides with its neighbors counts itself."""
    return digamma(np.maximum(np.arange(n_samples + 1), 1))


def _in_threads(measure: Callable[[Indices, Room], Values], n_samples: int, pairs: Indices, k: int) -> Values:
    out = np.empty(len(pairs))
    size = max(1, SAMPLES_A_PORTION // n_samples)

    def do(start: int) -> int:
        portion = slice(start, start + size)
        out[portion] = measure(pairs[portion], empty_room(n_samples, k))
        return len(out[portion])

    starts = range(0, len(pairs), size)
    if len(starts) <= 1:
        do(0)
        return out
    with ThreadPoolExecutor(torch.get_num_threads()) as threads, progress("pairs of units", len(pairs)) as advance:
        try:
            for done in as_completed([threads.submit(do, start) for start in starts]):
                advance(done.result())
        except BaseException:  # also at Ctrl-C, portions that have not begun are dropped
            threads.shutdown(cancel_futures=True)
            raise
    return out
