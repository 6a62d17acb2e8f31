"""Entropy by nearest neighbors against scipy's tree."""

import warnings

import torch
from scipy.spatial import cKDTree

from benchmarks.harness import measure, report
from cofire.stats import HighDimensionWarning, entropy_knn


def main(n: int = 10_000) -> None:
    """Compare by dimension; scipy uses two workers, as many as torch has threads."""
    warnings.simplefilter("ignore", HighDimensionWarning)
    for d in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64):
        x = torch.randn(n, d, dtype=torch.float64)
        array = x.numpy()
        contenders = {
            "entropy_knn": lambda x=x: entropy_knn(x),
            "entropy_knn, whitened": lambda x=x: entropy_knn(x, whiten=True),
            "KDTree, max-norm": lambda array=array: cKDTree(array).query(array, 4, p=torch.inf, workers=2),
            "KDTree, Euclidean": lambda array=array: cKDTree(array).query(array, 4, workers=2),
        }
        report(
            f"{n} samples, {d} units",
            measure(contenders, rounds=3),
            floor="KDTree, max-norm",
            goals={"entropy_knn": "at most 1"},
        )
