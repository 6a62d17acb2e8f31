"""Neuronal Correlation, a Central Concept in Neural Network: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .fig3 import FIG3
from .fig4 import FIG4
from .fig5 import FIG5
from .fig6 import FIG6
from .fig7 import FIG7

EXPERIMENTS: tuple[Experiment, ...] = (FIG3, FIG4, FIG5, FIG6, FIG7)
