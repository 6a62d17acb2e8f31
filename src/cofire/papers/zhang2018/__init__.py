"""On the Weak Neural Dependence Phenomenon in Deep Learning: its experiments, in the order of the paper."""

from ..experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = ()
