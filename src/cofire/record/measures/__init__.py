"""Measures: what to record, ready-made or your own."""

from .correlation_measures import correlation, epsilon
from .dependence_measure import dependence
from .entropy_measures import entropy, total_correlation
from .measure import Cautioned, Measure, NotMeasured, Statistic, as_measures
from .weight_measure import weight_correlation
from .width_measure import width

__all__ = [
    "Cautioned", "Measure", "NotMeasured", "Statistic", "as_measures", "correlation", "dependence", "entropy",
    "epsilon", "total_correlation", "weight_correlation", "width",
]  # fmt: skip
