"""Measures: what to record, ready made or of one's own."""

from .covariation import correlation, epsilon
from .entropies import entropy, total_correlation
from .information import dependence
from .measure import Cautioned, Measure, NotMeasured, Statistic, as_measures
from .weights import weight_correlation
from .width import width

__all__ = [
    "Cautioned",
    "Measure",
    "NotMeasured",
    "Statistic",
    "as_measures",
    "correlation",
    "dependence",
    "entropy",
    "epsilon",
    "total_correlation",
    "weight_correlation",
    "width",
]
