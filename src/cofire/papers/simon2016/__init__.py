"""Decorrelating Neural Network Activations: its experiments, in the order of the paper."""

from ..._public import public
from ..framework.experiment import Experiment
from .fig1_dropout import FIG1
from .fig2_penalty_weight import FIG2
from .fig3_network_size import FIG3
from .fig4_two_epochs import FIG4
from .future_work import FUTURE

EXPERIMENTS: tuple[Experiment, ...] = (FIG1, FIG2, FIG3, FIG4, FUTURE)

__all__ = ["EXPERIMENTS"]

__getattr__, __dir__ = public(__name__)
