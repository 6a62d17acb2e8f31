"""Questions that the papers do not ask, run and judged like theirs."""

from ..framework.experiment import Experiment
from .gap_ranking import GENERALIZATION
from .pruning_accuracy import PRUNING

EXPERIMENTS: tuple[Experiment, ...] = (PRUNING, GENERALIZATION)
