"""Neuronal Correlation, a Central Concept in Neural Network: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .fig5 import FIG5

EXPERIMENTS: tuple[Experiment, ...] = (FIG5,)
