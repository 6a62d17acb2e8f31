"""Questions that the papers do not ask, run and judged like theirs."""

from ..._public import public
from ..framework.experiment import Experiment
from .gap_ranking import GENERALIZATION
from .shrink_scores import SHRINK

EXPERIMENTS: tuple[Experiment, ...] = (SHRINK, GENERALIZATION)

__all__ = ["EXPERIMENTS"]

__getattr__, __dir__ = public(__name__)
