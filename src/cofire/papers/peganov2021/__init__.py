"""Correlation and Decorrelation in Neural Networks: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .cnn import CNN
from .mlp import MLP
from .rnn import RNN
from .stopping import STOPPING

EXPERIMENTS: tuple[Experiment, ...] = (MLP, CNN, RNN, STOPPING)
