"""Layers of a network: choosing them, capturing their activations, and penalties against co-variation."""

from typing import TYPE_CHECKING

from .._public import public
from .capturing.capture import Capture, capture
from .capturing.captured import Activations
from .dropout import DropoutReport, DropoutRow, dropout_report
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
from .shrinking import Shrunk, apply_plan, shrink
from .wiring.wired_layers import Group, Layer, Wiring
from .wiring.wiring import wire

if TYPE_CHECKING:
    from . import penalties, redundancy, shrinking, surgery

__all__ = [
    "Activations",
    "Capture",
    "CorrelationPenalty",
    "DeCovPenalty",
    "DropoutReport",
    "DropoutRow",
    "Group",
    "Layer",
    "PenaltyLR",
    "PenaltyWeight",
    "Shrunk",
    "Site",
    "Sites",
    "VICRegCovariancePenalty",
    "WeightCorrelationPenalty",
    "Wiring",
    "apply_plan",
    "capture",
    "correlation_penalty",
    "decov_penalty",
    "dropout_report",
    "penalties",
    "redundancy",
    "shrink",
    "shrinking",
    "sites",
    "surgery",
    "vicreg_covariance_penalty",
    "weight_correlation_penalty",
    "wire",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
