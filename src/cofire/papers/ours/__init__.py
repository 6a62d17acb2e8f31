"""Questions that the papers do not ask, run and judged like theirs."""

from ..framework.experiment import Experiment
from .gap_ranking import GENERALIZATION
from .shrink_scores import SHRINK

EXPERIMENTS: tuple[Experiment, ...] = (SHRINK, GENERALIZATION)
