"""Many pairs of units on the CPU: the compiled measures in threads, in portions that can be stopped between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ..._base.progress import progress
from .arrangement import Room, empty_room
from .continuous_pairs import joint_log_distances, number_information
from .deterministic import NO, find_orders, order_information, shares_on_lines
from .units import Units

SAMPLES_A_PORTION = 1 << 19  # some hundredths of a second
SINGULAR_SHARE = 0.05
Indices: TypeAlias = NDArray[np.intp]
Values: TypeAlias = NDArray[np.float64]


def three_entropies_of_pairs(units: Units, pairs: Indices, k: int) -> Values:
    """H(x) + H(y) − H(x, y) of each pair of units without atoms."""
    n_samples = units.score.shape[1]
    alone = np.array(
        [_mean_log_distance(score[order], k) for score, order in zip(units.score, units.order, strict=True)]
    )

    def measure(portion: Indices, room: Room) -> Values:
        together = np.empty(len(portion))
        joint_log_distances(units, portion, _infinities(k), room, together)
        together[~np.isnan(_known(units, portion, room))] = -np.inf
        return together

    together = _in_threads(measure, n_samples, pairs, k)
    digamma = _digamma(n_samples)
    return digamma[n_samples] - digamma[k] + alone[pairs].sum(axis=1) - 2 * together


def information_of_pairs(units: Units, pairs: Indices, k: int, suspicious: float = np.inf) -> Values:
    """Information of each pair by counting, Ross and Kraskov; see :mod:`.atoms`.

    From ``suspicious`` on it is looked whether one unit is, in part, a function of the other. What a call does not
    need is not compiled.
    """
    digamma = _digamma(units.score.shape[1])

    def measure(portion: Indices, room: Room) -> Values:
        information = np.empty(len(portion))
        number_information(units, portion, _infinities(k), digamma, room, information)
        smooth = units.smooth[portion].all(axis=1) & (k > 1)
        singular = _singular(units, portion, (information > suspicious) & smooth, k, room)
        known = _known(units, portion, room)
        information = np.where(singular, np.inf, information)
        information = np.where(np.isnan(known), information, known)
        return _with_labels(units, portion, k, digamma, information)

    return _in_threads(measure, units.score.shape[1], pairs, k)


def _known(units: Units, pairs: Indices, room: Room) -> Values:
    """Information of the pairs of which one unit is a monotone function of the other, NaN for the others."""
    orders, known = np.empty(len(pairs), np.intp), np.full(len(pairs), np.nan)
    find_orders(units, pairs, room.by_x, orders)
    some = orders != NO
    if some.any():
        found = np.empty(some.sum())
        order_information(units, pairs[some], orders[some], room.by_x, found)
        known[some] = found
    return known


def _singular(units: Units, pairs: Indices, doubtful: NDArray[np.bool_], k: int, room: Room) -> NDArray[np.bool_]:
    """Which of the doubtful pairs lie on smooth curves, in part."""
    singular = np.zeros(len(pairs), np.bool_)
    if doubtful.any():
        shares = np.empty(doubtful.sum())
        shares_on_lines(units, pairs[doubtful], _infinities(k), room, shares)
        singular[doubtful] = shares > SINGULAR_SHARE
    return singular


def _with_labels(units: Units, pairs: Indices, k: int, digamma: Values, information: Values) -> Values:
    """The information between continuous samples, and that which the atoms have."""
    if (units.n_labels[pairs] == 1).all():
        return information
    from .atoms import empty_label_room, label_information

    of_labels, share = np.empty((2, len(pairs)))
    room = empty_label_room(units.score.shape[1], int(units.n_labels.max()))
    label_information(units, pairs, k, digamma, room, of_labels, share)
    return of_labels + share * np.where(share > 0, information, 0.0)


def _mean_log_distance(ascending: NDArray[np.float32], k: int) -> float:
    """To the k-th neighbor on the line: k + 1 values in a row hold a value and its k nearest."""
    nearest = np.full(len(ascending), np.inf, np.float32)
    n_rows = len(ascending) - k
    for place in range(k + 1):
        values, held = ascending[place : place + n_rows], nearest[place : place + n_rows]
        np.minimum(held, np.maximum(values - ascending[:n_rows], ascending[k:] - values), out=held)
    with np.errstate(divide="ignore"):
        return float(np.log(nearest.astype(np.float64)).mean())


def _infinities(k: int) -> tuple[np.float32, ...]:
    return (np.float32(np.inf),) * k


def _digamma(n_samples: int) -> Values:
    """ψ of 0 … n_samples; a sample that coincides with its neighbors counts itself, so ψ(1) stands at 0."""
    counts = torch.arange(n_samples + 1, dtype=torch.float64, device="cpu").clamp_(min=1)
    return torch.digamma(counts).numpy()


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
        except BaseException:  # an interrupt too ends what has not begun
            threads.shutdown(cancel_futures=True)
            raise
    return out
