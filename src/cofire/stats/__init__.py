"""Arrays in, numbers out: the statistics, none of which knows what a module is."""

from . import truth
from .correlation import CorrelationSummary, neuronal_correlation, noise_floor
from .density import HighDimensionWarning
from .entropy import (
    entropy_binned,
    entropy_gaussian,
    entropy_independence_bound,
    entropy_knn,
    total_correlation,
)
from .kde import entropy_kde
from .kernels import WidthScan, gram_matrix, kernel_alignment, kernel_width_scan
from .moments import Moments
from .preactivation import epsilon, preactivation_correlation, preactivation_neuronal_correlation
from .structure import structure_coefficient
from .unit_vectors import split_units
from .weights import (
    WeightSummary,
    weight_correlation,
    weight_correlation_quartiles,
    weight_correlation_summary,
)

__all__ = [
    "CorrelationSummary",
    "HighDimensionWarning",
    "Moments",
    "WeightSummary",
    "WidthScan",
    "entropy_binned",
    "entropy_gaussian",
    "entropy_independence_bound",
    "entropy_kde",
    "entropy_knn",
    "epsilon",
    "gram_matrix",
    "kernel_alignment",
    "kernel_width_scan",
    "neuronal_correlation",
    "noise_floor",
    "preactivation_correlation",
    "preactivation_neuronal_correlation",
    "split_units",
    "structure_coefficient",
    "total_correlation",
    "truth",
    "weight_correlation",
    "weight_correlation_quartiles",
    "weight_correlation_summary",
]
