"""Penalties to add to a loss, which keep the units of a network from co-varying."""

from ..._public import public
from .activation_penalties import correlation_penalty, decov_penalty, vicreg_covariance_penalty
from .penalty import Penalty
from .penalty_modules import (
    ActivationPenalty,
    CorrelationPenalty,
    DeCovPenalty,
    VICRegCovariancePenalty,
    WeightCorrelationPenalty,
)
from .schedulers import PenaltyLR, PenaltyWeight
from .weight_penalty import weight_correlation_penalty

__all__ = [
    "ActivationPenalty", "CorrelationPenalty", "DeCovPenalty", "Penalty", "PenaltyLR", "PenaltyWeight",
    "VICRegCovariancePenalty", "WeightCorrelationPenalty", "correlation_penalty", "decov_penalty",
    "vicreg_covariance_penalty", "weight_correlation_penalty",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
