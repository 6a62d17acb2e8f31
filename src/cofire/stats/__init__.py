"""Arrays in, numbers out: the statistics, none of which knows what a module is."""

from . import truth
from .correlation import CorrelationSummary, neuronal_correlation, noise_floor
from .moments import Moments

__all__ = ["CorrelationSummary", "Moments", "neuronal_correlation", "noise_floor", "truth"]
