"""Arrays in, numbers out: the statistics, none of which knows what a module is."""

from . import truth
from .correlation import CorrelationSummary, neuronal_correlation, noise_floor
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
    "Moments",
    "WeightSummary",
    "epsilon",
    "neuronal_correlation",
    "noise_floor",
    "preactivation_correlation",
    "preactivation_neuronal_correlation",
    "split_units",
    "structure_coefficient",
    "truth",
    "weight_correlation",
    "weight_correlation_quartiles",
    "weight_correlation_summary",
]
