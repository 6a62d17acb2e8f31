"""Decorrelating Neural Network Activations: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .fig1 import FIG1
from .fig2 import FIG2
from .fig3 import FIG3
from .fig4 import FIG4

EXPERIMENTS: tuple[Experiment, ...] = (FIG1, FIG2, FIG3, FIG4)
