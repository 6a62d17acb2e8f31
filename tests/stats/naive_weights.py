"""Loop twins of the weight statistics: slow, and nothing in common with the fast paths but the definition."""

from itertools import combinations, product

import mpmath
import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.dot(a, b) / (np.sqrt(np.dot(a, a)) * np.sqrt(np.dot(b, b))))


def cosines(vectors: np.ndarray) -> list[float]:
    """Of every pair of rows that are finite and not zero."""
    usable = [row for row in vectors.astype(np.float64) if np.isfinite(row).all() and row.any()]
    return [cosine(a, b) for a, b in combinations(usable, 2)]


def weight_correlation(vectors: np.ndarray, absolute: bool = True) -> float:
    values = cosines(vectors)
    if not values:
        return float("nan")
    return float(np.mean(np.abs(values) if absolute else values))


def dense_rows(weight: np.ndarray, groups: int) -> np.ndarray:
    """A grouped convolution's kernels as rows over all input channels, zero where nothing is connected."""
    n_units, per_group = weight.shape[:2]
    dense = np.zeros((n_units, per_group * groups, *weight.shape[2:]))
    for unit in range(n_units):
        first = unit // (n_units // groups) * per_group
        dense[unit, first : first + per_group] = weight[unit]
    return dense


def transposed_dense_rows(weight: np.ndarray, groups: int) -> np.ndarray:
    """A grouped transposed convolution's (in, out/groups, ...) as rows over all input channels."""
    n_inputs, units_per_group = weight.shape[:2]
    dense = np.zeros((units_per_group * groups, n_inputs, *weight.shape[2:]))
    for source, unit in product(range(n_inputs), range(units_per_group)):
        group = source // (n_inputs // groups)
        dense[group * units_per_group + unit, source] = weight[source, unit]
    return dense


def per_input_channel(weight: np.ndarray, absolute: bool = True) -> float:
    channels = [weight_correlation(weight[:, c].reshape(len(weight), -1), absolute) for c in range(weight.shape[1])]
    return float(np.nanmean(channels))


def parents(neuron, size, kernel, stride, pads, dilation, inputs_per_group, units_per_group):
    """The set of input neurons (channel, position) that feed one neuron (channel, position)."""
    unit, position = neuron
    group = unit // units_per_group
    fields = [
        [x for t in range(k) if 0 <= (x := p * s - low + t * d) < n]
        for p, k, s, low, d, n in zip(position, kernel, stride, pads, dilation, size, strict=True)
    ]
    channels = range(group * inputs_per_group, (group + 1) * inputs_per_group)
    return set(product(channels, product(*fields)))


def structure_coefficient(n_inputs, n_units, output, size, kernel, stride, pads, dilation, groups, gamma=1.0):
    neurons = list(product(range(n_units), product(*(range(n) for n in output))))
    fields = [
        parents(neuron, size, kernel, stride, pads, dilation, n_inputs // groups, n_units // groups)
        for neuron in neurons
    ]
    total = 0.0
    for mine in fields:
        shared = [len(mine & other) for other in fields]
        total += sum(shared) / max(1, sum(count > 0 for count in shared))
    return total / (gamma * len(neurons) ** 2)


def preactivation_correlation(weight: np.ndarray, covariance: np.ndarray) -> list[list[float]]:
    """In 60-digit arithmetic."""
    with mpmath.workdps(60):
        w, sigma = mpmath.matrix(weight.tolist()), mpmath.matrix(covariance.tolist())
        c = w * sigma * w.T
        return [[float(c[i, j] / mpmath.sqrt(c[i, i] * c[j, j])) for j in range(c.cols)] for i in range(c.rows)]
