"""Layers of a network: choosing them, capturing their activations, and penalties against co-variation."""

from .capturing.capture import Capture, capture
from .capturing.captured import Activations
from .dropout import DropoutReport, DropoutRow, dropout_report
from .layers.kinds import with_units
from .layers.sites import Site, Sites, sites
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

__all__ = [
    "Activations", "Capture", "CorrelationPenalty", "DeCovPenalty", "DropoutReport", "DropoutRow", "PenaltyLR",
    "PenaltyWeight", "Site", "Sites", "VICRegCovariancePenalty", "WeightCorrelationPenalty", "capture",
    "correlation_penalty", "decov_penalty", "dropout_report", "sites", "vicreg_covariance_penalty",
    "weight_correlation_penalty", "with_units",
]  # fmt: skip
