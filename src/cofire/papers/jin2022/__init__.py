"""Neuronal Correlation, a Central Concept in Neural Network: its experiments, in the order of the paper."""

from ..._public import public
from ..framework.experiment import Experiment
from .fig3_activation_functions import FIG3
from .fig4_linear_network import FIG4
from .fig5_initializations import FIG5
from .fig6_entropy_estimators import FIG6
from .fig7_generalization_gap import FIG7

EXPERIMENTS: tuple[Experiment, ...] = (FIG3, FIG4, FIG5, FIG6, FIG7)

__all__ = ["EXPERIMENTS"]

__getattr__, __dir__ = public(__name__)
