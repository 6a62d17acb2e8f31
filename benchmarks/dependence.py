"""Information of all pairs of a layer's units, next to a tree a pair by scipy, scikit-learn and ennemi."""

from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.special import digamma

from benchmarks.harness import measure, report
from cofire.stats import dependence_score

N_NEIGHBORS = 3
OURS = "cofire 3H"
CASES = [(300, 1000), (200, 2000), (100, 5000)]  # units, samples
WHOLE_LAYER = 1000, 1000
PEER_PAIRS = 60
GOALS = {
    "cofire KSG": "≤ 3",
    "cofire default": "≤ 3",
    "cofire default, after a ReLU": "≤ 3",
    "3H, three cKDTrees a pair": "≥ 250",
    "3H, cKDTree, marginals cached": "≥ 30",
}


def main() -> None:
    for n_units, n_samples in CASES:
        x = torch.randn(n_samples, n_units, generator=torch.Generator().manual_seed(0))
        ours = {
            OURS: lambda x=x: dependence_score(x),
            "cofire KSG": lambda x=x: dependence_score(x, method="ksg"),
            "cofire default": lambda x=x: dependence_score(x, method="default"),
            "cofire default, after a ReLU": lambda x=x: dependence_score(x.relu(), method="default"),
        }
        n_pairs = n_units * (n_units - 1) // 2
        seconds = measure({**ours, **peers(x.numpy())}, rounds=3)
        per_pair = {name: value / (n_pairs if name in ours else PEER_PAIRS) for name, value in seconds.items()}
        report(f"Seconds a pair, {n_units} units × {n_samples} samples", per_pair, floor=OURS, goals=GOALS)
        check(x[:, :10])
    whole_layer()


def whole_layer() -> None:
    """Measure all pairs once, between two rounds of the trees on some of them."""
    n_units, n_samples = WHOLE_LAYER
    x = torch.randn(n_samples, n_units, generator=torch.Generator().manual_seed(0))
    trees = {name: run for name, run in peers(x.numpy()).items() if name in GOALS}
    before, seconds, after = measure(trees, rounds=3), timed(lambda: dependence_score(x)), measure(trees, rounds=3)
    per_pair = {OURS: seconds / (n_units * (n_units - 1) // 2)}
    per_pair |= {name: (before[name] + after[name]) / 2 / PEER_PAIRS for name in trees}
    report(f"Seconds a pair, {n_units} units × {n_samples} samples", per_pair, floor=OURS, goals=GOALS)
    print(f"{seconds:.3g} s for all pairs, {1 / per_pair[OURS]:.3g} pairs a second")


def timed(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def check(x: torch.Tensor) -> None:
    """Print the largest difference to the trees on the same data."""
    ours = dependence_score(x).matrix
    scaled = standardized(x.numpy())
    error = max(abs(ours[i, j].item() - three_trees(scaled[i], scaled[j])) for i in range(10) for j in range(i))
    print(f"largest difference to the trees: {error:.1e} nats\n")


def peers(x: np.ndarray) -> dict[str, Callable[[], object]]:
    units = standardized(x)
    pairs = [(i, j) for i in range(20) for j in range(i)][:PEER_PAIRS]
    alone = [log_distances(unit[:, None]) for unit in units[:20]]

    def over_pairs(estimate: Callable[[int, int], object]) -> Callable[[], object]:
        return lambda: [estimate(i, j) for i, j in pairs]

    found = {
        "3H, three cKDTrees a pair": over_pairs(lambda i, j: three_trees(units[i], units[j])),
        "3H, cKDTree, marginals cached": over_pairs(
            lambda i, j: combine(len(x), alone[i], alone[j], log_distances(np.stack([units[i], units[j]], axis=1)))
        ),
    }
    if find_spec("sklearn"):
        from sklearn.feature_selection import mutual_info_regression

        found["KSG, scikit-learn"] = over_pairs(lambda i, j: mutual_info_regression(units[i][:, None], units[j]))
    if find_spec("ennemi"):
        from ennemi import estimate_mi

        found["KSG, ennemi"] = over_pairs(lambda i, j: estimate_mi(units[i], units[j]))
    return found


def standardized(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(((x - x.mean(axis=0)) / x.std(axis=0)).T)


def three_trees(x: np.ndarray, y: np.ndarray) -> float:
    together = log_distances(np.stack([x, y], axis=1))
    return combine(len(x), log_distances(x[:, None]), log_distances(y[:, None]), together)


def log_distances(points: np.ndarray) -> float:
    distance = cKDTree(points).query(points, k=N_NEIGHBORS + 1, p=np.inf)[0][:, N_NEIGHBORS]
    return float(np.log(distance).mean())


def combine(n_samples: int, of_x: float, of_y: float, of_both: float) -> float:
    return float(digamma(n_samples) - digamma(N_NEIGHBORS) + of_x + of_y - 2 * of_both)
