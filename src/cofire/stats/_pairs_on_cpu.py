"""Many pairs of units on the CPU: the compiled measures in threads, in portions that can be stopped between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
import torch
from numpy.typing import NDArray

from ._arrangement import Room, Units, empty_room
from ._pairwise import joint_log_distances, pair_information, unit_log_distances
from ._progress import progress

SAMPLES_A_PORTION = 1 << 19  # some hundredths of a second


def three_entropies_of_pairs(units: Units, pairs: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """H(x) + H(y) − H(x, y) of each pair of units without atoms."""
    alone = np.empty(len(units.score))
    n_samples = units.score.shape[1]
    unit_log_distances(units, k, np.empty(n_samples, np.float32), alone)

    def measure(portion: NDArray[np.intp], room: Room, out: NDArray[np.float64]) -> None:
        joint_log_distances(units, portion, _infinities(k), room, out)

    together = _in_threads(measure, units, pairs)
    digamma = _digamma(n_samples)
    return digamma[n_samples] - digamma[k] + alone[pairs].sum(axis=1) - 2 * together


def information_of_pairs(
    units: Units, pairs: NDArray[np.intp], k: int, suspicious: float = np.inf
) -> NDArray[np.float64]:
    """Information of each pair by counting, Ross and Kraskov; see ``pair_information``."""
    digamma = _digamma(units.score.shape[1])

    def measure(portion: NDArray[np.intp], room: Room, out: NDArray[np.float64]) -> None:
        pair_information(units, portion, _infinities(k), digamma, suspicious, room, out)

    return _in_threads(measure, units, pairs)


def _infinities(k: int) -> tuple[np.float32, ...]:
    return (np.float32(np.inf),) * k


def _digamma(n_samples: int) -> NDArray[np.float64]:
    """ψ of 0 … n_samples; a sample that coincides with its neighbors counts itself, so ψ(1) stands at 0."""
    counts = torch.arange(n_samples + 1, dtype=torch.float64, device="cpu").clamp_(min=1)
    return torch.digamma(counts).numpy()


def _in_threads(
    measure: Callable[[NDArray[np.intp], Room, NDArray[np.float64]], None], units: Units, pairs: NDArray[np.intp]
) -> NDArray[np.float64]:
    n_samples, most_labels = units.score.shape[1], int(units.n_labels.max())
    out = np.empty(len(pairs))
    size = max(1, SAMPLES_A_PORTION // n_samples)

    def do(start: int) -> int:
        portion = slice(start, start + size)
        measure(pairs[portion], empty_room(n_samples, most_labels), out[portion])
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
