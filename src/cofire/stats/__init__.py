"""Statistics: arrays in, numbers out. Nothing here knows about modules."""

from typing import TYPE_CHECKING

from .._public import public
from .correlation.dropout_laws import dropout_correlation, dropout_second_moment
from .correlation.moments import Moments
from .correlation.preactivation import epsilon, preactivation_correlation, preactivation_neuronal_correlation
from .correlation.summary import CorrelationSummary, neuronal_correlation, noise_floor
from .information.cautions import HighDimensionWarning, WhiteningWarning
from .information.coefficient import information_coefficient, information_of_correlation
from .information.dependence import DependenceScore, PermutationThreshold, dependence_score, permutation_threshold
from .information.disagreement import Disagreement, disagreement
from .information.entropy import (
    entropy_binned,
    entropy_gaussian,
    entropy_independence_bound,
    entropy_knn,
    total_correlation,
)
from .information.mutual_information import (
    mutual_information,
    mutual_information_3h,
    mutual_information_gaussian,
    mutual_information_ksg,
    nonlinear_excess,
)
from .kernels.embedding import (
    EigenvalueBounds,
    WidthChoice,
    choose_bandwidth,
    eigenvalue_bounds,
    entropy_embedded,
    feature_matrix,
)
from .kernels.gram import WidthScan, gram_matrix, kernel_alignment, kernel_width_scan
from .kernels.kde import entropy_kde
from .weights.structure import structure_coefficient
from .weights.unit_vectors import split_units
from .weights.weight_correlation import (
    WeightSummary,
    weight_correlation,
    weight_correlation_quartiles,
    weight_correlation_summary,
)

if TYPE_CHECKING:
    from . import truth

__all__ = [
    "CorrelationSummary", "DependenceScore", "Disagreement", "EigenvalueBounds", "HighDimensionWarning", "Moments",
    "PermutationThreshold", "WeightSummary", "WhiteningWarning", "WidthChoice", "WidthScan", "choose_bandwidth",
    "dependence_score", "disagreement", "dropout_correlation", "dropout_second_moment", "eigenvalue_bounds",
    "entropy_binned", "entropy_embedded", "entropy_gaussian", "entropy_independence_bound", "entropy_kde",
    "entropy_knn", "epsilon", "feature_matrix", "gram_matrix", "information_coefficient", "information_of_correlation",
    "kernel_alignment", "kernel_width_scan", "mutual_information", "mutual_information_3h",
    "mutual_information_gaussian", "mutual_information_ksg", "neuronal_correlation", "noise_floor", "nonlinear_excess",
    "permutation_threshold", "preactivation_correlation", "preactivation_neuronal_correlation", "split_units",
    "structure_coefficient", "total_correlation", "truth", "weight_correlation", "weight_correlation_quartiles",
    "weight_correlation_summary",
]  # fmt: skip

# The distributions take a third of the time that this index takes, and only tests and benchmarks need them.
__getattr__, __dir__ = public(__name__)
