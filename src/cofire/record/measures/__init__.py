"""Measures: what to record, ready made or of one's own."""

from .correlation import correlation, epsilon
from .dependence import dependence
from .entropy import entropy, total_correlation
from .measure import Cautioned, Measure, NotMeasured, Statistic, as_measure
from .weights import weight_correlation

__all__ = [
    "Cautioned",
    "Measure",
    "NotMeasured",
    "Statistic",
    "as_measure",
    "correlation",
    "dependence",
    "entropy",
    "epsilon",
    "total_correlation",
    "weight_correlation",
]
