"""Correlation and Decorrelation in Neural Networks: its experiments, in the order of the paper."""

from ..._public import public
from ..framework.experiment import Experiment
from .cnn_images import CNN
from .early_stopping import STOPPING
from .mlp_images import MLP
from .rnn_characters import RNN

EXPERIMENTS: tuple[Experiment, ...] = (MLP, CNN, RNN, STOPPING)

__all__ = ["EXPERIMENTS"]

__getattr__, __dir__ = public(__name__)
