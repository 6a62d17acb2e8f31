"""Correlation and Decorrelation in Neural Networks: its experiments, in the order of the paper."""

from ..experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = ()
