"""Decorrelating Neural Network Activations: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .fig1 import FIG1

EXPERIMENTS: tuple[Experiment, ...] = (FIG1,)
