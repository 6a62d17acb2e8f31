"""Measures: what to record, ready-made or your own."""

from ..._public import public
from .correlation_measures import correlation, epsilon
from .defaults import default_measures
from .dependence_measure import dependence
from .entropy_measures import entropy, total_correlation
from .measure import Cautioned, Measure, NotMeasured, Statistic, as_measures
from .weight_measure import weight_correlation
from .width_measure import width

__all__ = [
    "Cautioned", "Measure", "NotMeasured", "Statistic", "as_measures", "correlation", "default_measures", "dependence",
    "entropy", "epsilon", "total_correlation", "weight_correlation", "width",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
