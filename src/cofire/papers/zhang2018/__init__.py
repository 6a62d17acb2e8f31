"""On the Weak Neural Dependence Phenomenon in Deep Learning: its experiments, in the order of the paper."""

from ..experiment import Experiment
from .fig2 import FIG2
from .fig3 import FIG3
from .figa1 import FIGA1
from .figb1 import FIGB1
from .figb2 import FIGB2

EXPERIMENTS: tuple[Experiment, ...] = (FIG2, FIG3, FIGA1, FIGB1, FIGB2)
