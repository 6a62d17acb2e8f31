"""On the Weak Neural Dependence Phenomenon in Deep Learning: its experiments, in the order of the paper."""

from ..._public import public
from ..framework.experiment import Experiment
from .fig2_entropy_width import FIG2
from .fig3_dependence_width import FIG3
from .figa1_estimators import FIGA1
from .figb1_relu_cifar import FIGB1
from .figb2_conv_entropy import FIGB2

EXPERIMENTS: tuple[Experiment, ...] = (FIG2, FIG3, FIGA1, FIGB1, FIGB2)

__all__ = ["EXPERIMENTS"]

__getattr__, __dir__ = public(__name__)
