"""Correlation and Decorrelation in Neural Networks: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .cnn import CNN
from .mlp import MLP
from .rnn import RNN

EXPERIMENTS: tuple[Experiment, ...] = (MLP, CNN, RNN)
