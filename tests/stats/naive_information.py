"""Loop twins of the measures of information: all samples against all, nothing sorted, nothing cached."""

import numpy as np
import torch
from scipy.special import digamma

from cofire.stats.information.engine.unit_scores import atoms


def kth_distance(points: np.ndarray, k: int | np.ndarray) -> np.ndarray:
    """Max-norm distance from each row to its k-th nearest other row; k may differ from row to row."""
    points = points.reshape(len(points), -1)
    distances = np.abs(points[:, None] - points).max(axis=2)
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[np.arange(len(points)), np.asarray(k) - 1]


def entropy(points: np.ndarray, k: int) -> float:
    """Samples that coincide with k others count as many neighbors as it takes to get away."""
    points = points.reshape(len(points), -1)
    n, d = points.shape
    first_apart = np.array([(points == point).all(axis=1).sum() for point in points])
    ranks = np.maximum(k, first_apart)
    return digamma(n) - digamma(ranks).mean() + d * np.mean(np.log(2 * kth_distance(points, ranks)))


def three_entropies(x: np.ndarray, y: np.ndarray, k: int = 3, standardize: bool = True) -> float:
    if standardize:
        x, y = x / x.std(axis=0), y / y.std(axis=0)
    return entropy(x, k) + entropy(y, k) - entropy(np.column_stack([x, y]), k)


def kraskov(x: np.ndarray, y: np.ndarray, k: int = 3) -> float:
    """Of variables as they are: divide by their deviations before."""
    n = len(x)
    if n <= k:
        return 0.0
    radius = kth_distance(np.column_stack([x, y]), k)
    inside = 0.0
    for i in range(n):
        for values in (x, y):
            gaps = np.abs(values - values[i]).reshape(n, -1).max(axis=1)
            inside += digamma(max(1, (gaps < radius[i]).sum()))
    return digamma(k) + digamma(n) - inside / n


def ross(label: np.ndarray, y: np.ndarray, k: int = 3) -> float:
    """Discrete against continuous; a sample that is alone in its class tells nothing."""
    n = len(y)
    several = np.array([(label == a).sum() > 1 for a in label], dtype=bool)
    label, y = label[several], y[several]
    if len(set(label)) < 2:
        return 0.0
    total = 0.0
    for a, value in zip(label, y, strict=True):
        own = np.sort(np.abs(y[label == a] - value))
        nearest = min(k, len(own) - 1)
        total += digamma(nearest) - digamma(len(own)) - digamma((np.abs(y - value) < own[nearest]).sum())
    return (len(y) * digamma(len(y)) + total) / n


def counted(a: np.ndarray, b: np.ndarray) -> float:
    """Discrete against discrete, corrected by Miller and Madow."""
    return _counted_entropy(a) + _counted_entropy(b) - _counted_entropy(np.column_stack([a, b]))


def _counted_entropy(labels: np.ndarray) -> float:
    share = np.unique(labels, axis=0, return_counts=True)[1] / len(labels)
    return -np.sum(share * np.log(share)) + (len(share) - 1) / (2 * len(labels))


def labels(x: np.ndarray) -> np.ndarray:
    """0 for continuous samples, else the number of the atom."""
    levels, counts = np.unique(x, return_counts=True)
    values = levels[atoms(counts)]
    return np.array([1 + list(values).index(v) if v in values else 0 for v in x])


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Of values without ties; to float32, as equal distances are many on the common grid of two units."""
    ranks = torch.tensor([(x < value).sum() for value in x], dtype=torch.float64)
    return torch.special.ndtri((ranks + 0.5) / max(1, len(x))).float().numpy()


def mutual_information(x: np.ndarray, y: np.ndarray) -> float:
    """The chain rule over atoms, for units whose continuous samples have no ties."""
    a, b = labels(x), labels(y)
    scores = []
    for values, label in ((x, a), (y, b)):
        score = np.full(len(values), np.nan, np.float32)
        score[label == 0] = normal_scores(values[label == 0])
        scores.append(score)
    both = (a == 0) & (b == 0)
    total = counted(a, b) + both.mean() * kraskov(scores[0][both], scores[1][both])
    total += (b == 0).mean() * ross(a[b == 0], scores[1][b == 0])
    return total + (a == 0).mean() * ross(b[a == 0], scores[0][a == 0])


def same_order(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether one rises where the other does, or falls where it does, throughout, and they are tied alike."""
    signs = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    return np.array_equal(*signs) or np.array_equal(signs[0], -signs[1])


def on_a_line(x: np.ndarray, y: np.ndarray, tolerance: float) -> bool:
    x, y = (values.astype(np.float64) - np.float64(values[0]) for values in (x, y))
    spread = len(x) ** 2 * x.var() * y.var()
    return len(x) >= 4 and spread - (len(x) * np.mean((x - x.mean()) * (y - y.mean()))) ** 2 < tolerance * spread


def on_lines(units, i: int, j: int, both: np.ndarray, k: int) -> float:
    """The share of samples that lie on a line with all that are within the distance of their k-th neighbor."""
    scores, values = units.score[[i, j]][:, both], units.value[[i, j]][:, both]
    radius = kth_distance(scores.T, k)
    far = np.abs(scores[:, :, None] - scores[:, None]).max(axis=0)
    tolerance = max(1e-6, 0.02 / both.sum())
    # the engine takes differences from the sample itself, so it comes first
    near = [np.r_[s, np.flatnonzero((far[s] <= radius[s]) & (np.arange(len(far)) != s))] for s in range(len(far))]
    return np.mean([on_a_line(*values[:, some], tolerance) for some in near])


def is_function(units, i: int, j: int, both: np.ndarray) -> bool:
    """Whether parabolas fit unit j over five samples in a row of unit i in more than a quarter of 64 places."""
    some = np.flatnonzero(both)
    some = some[np.argsort(units.score[i, some], kind="stable")]
    n, apart = len(some), 1 + len(some) // 10_000
    if n < 500:
        return False
    starts = [place * (n - 4 * apart - 1) // 63 for place in range(64)]
    fits = 0
    for start in starts:
        x, y = units.value[[i, j]][:, some[start : start + 4 * apart + 1 : apart]].astype(np.float64)
        if np.ptp(x) > 0 and np.ptp(y) > 0:
            t = (x - x.mean()) / np.ptp(x)
            rest = y - np.polyval(np.polyfit(t, y, 2), t)
            fits += rest.var() < max(1e-6, 0.02 / n) * y.var()
    return fits > 16


def entropy_if_determined(units, i: int, j: int) -> float:
    """Entropy of a unit if the levels of the other, most of which repeat, determine it and chance does not."""
    for by, of in ((i, j), (j, i)):
        level, value = units.level[by], units.value[of]
        n_levels = units.n_levels[by]
        if n_levels and all(len(set(value[level == one])) == 1 for one in range(n_levels)):
            share = np.unique(value, return_counts=True)[1] / len(value)
            chance = np.sum(share**2) ** (len(value) - n_levels)
            return _counted_entropy(value) if len(value) >= 20 and chance <= 1e-9 else np.nan
    return np.nan


def determined(units, i: int, j: int, both: np.ndarray) -> float:
    """Information of units of which one is a monotone function of the other, NaN for others."""
    x, y = units.value[i, both], units.value[j, both]
    if len(x) < 20:
        return np.inf if len(x) and on_a_line(x, y, 1e-11) else np.nan
    if not same_order(x, y):
        return np.nan
    _, counts = np.unique(x, return_counts=True)
    return np.inf if (counts == 1).sum() > 0.05 * len(x) else _counted_entropy(x)


def information_of_units(units, i: int, j: int, k: int) -> float:
    """The chain rule over atoms of units as the engine prepares them, whatever their ties."""
    a, b = units.label[i], units.label[j]
    both = (a == 0) & (b == 0)
    between = kraskov(units.score[i, both], units.score[j, both], k)
    if k > 1 and between > 0.25 and units.smooth[i] and units.smooth[j] and on_lines(units, i, j, both, k) > 0.05:
        between = np.inf
    if units.smooth[i] and units.smooth[j] and any(is_function(units, *way, both) for way in ((i, j), (j, i))):
        between = np.inf
    if not np.isnan(entropy := entropy_if_determined(units, i, j)):
        return entropy
    known = determined(units, i, j, both)
    between = between if np.isnan(known) else known
    total = counted(a, b) + (both.mean() * between if both.any() else 0.0)
    total += (b == 0).mean() * ross(a[b == 0], units.score[j, b == 0], k) if (b == 0).any() else 0.0
    return total + ((a == 0).mean() * ross(b[a == 0], units.score[i, a == 0], k) if (a == 0).any() else 0.0)
