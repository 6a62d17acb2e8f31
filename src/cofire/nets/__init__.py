"""Which layers to measure, how to get at their activations, and how to keep them from co-varying."""

from .capture import Capture, capture
from .dropout import DropoutReport, DropoutRow, dropout_report
from .kinds import with_units
from .penalties import (
    CorrelationPenalty,
    DeCovPenalty,
    PenaltyLR,
    PenaltyWeight,
    VICRegCovariancePenalty,
    WeightCorrelationPenalty,
    correlation_penalty,
    decov_penalty,
    vicreg_covariance_penalty,
    weight_correlation_penalty,
)
from .results import Activations
from .sites import Site, Sites, sites

__all__ = [
    "Activations",
    "Capture",
    "CorrelationPenalty",
    "DeCovPenalty",
    "DropoutReport",
    "DropoutRow",
    "PenaltyLR",
    "PenaltyWeight",
    "Site",
    "Sites",
    "VICRegCovariancePenalty",
    "WeightCorrelationPenalty",
    "capture",
    "correlation_penalty",
    "decov_penalty",
    "dropout_report",
    "sites",
    "vicreg_covariance_penalty",
    "weight_correlation_penalty",
    "with_units",
]
