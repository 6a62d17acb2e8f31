"""Questions that the papers do not ask, run and judged like theirs."""

from ..experiment import Experiment
from .generalization import GENERALIZATION
from .pruning import PRUNING

EXPERIMENTS: tuple[Experiment, ...] = (PRUNING, GENERALIZATION)
