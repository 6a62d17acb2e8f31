"""Penalties that keep the units of a network from co-varying, to be added to a loss."""

from .activations import correlation_penalty, decov_penalty, vicreg_covariance_penalty
from .base import Penalty
from .modules import (
    ActivationPenalty,
    CorrelationPenalty,
    DeCovPenalty,
    VICRegCovariancePenalty,
    WeightCorrelationPenalty,
)
from .schedulers import PenaltyLR, PenaltyWeight
from .weights import weight_correlation_penalty

__all__ = [
    "ActivationPenalty",
    "CorrelationPenalty",
    "DeCovPenalty",
    "Penalty",
    "PenaltyLR",
    "PenaltyWeight",
    "VICRegCovariancePenalty",
    "WeightCorrelationPenalty",
    "correlation_penalty",
    "decov_penalty",
    "vicreg_covariance_penalty",
    "weight_correlation_penalty",
]
