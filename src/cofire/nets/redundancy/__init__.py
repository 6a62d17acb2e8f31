"""Redundancy of the layers of a network, measured on data or from a bare state dict."""

from ..._public import public
from .inspection import checkpoint_report, inspect
from .layer_redundancy import LEAST_INPUTS, LayerRedundancy, Picture, RedundancyReport
from .measure_layers import redundancy_report, weight_redundancy_report

__all__ = [
    "LEAST_INPUTS", "LayerRedundancy", "Picture", "RedundancyReport", "checkpoint_report", "inspect",
    "redundancy_report", "weight_redundancy_report",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
