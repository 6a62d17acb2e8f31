"""How redundant the layers of a network are, with data or by a bare state dict."""

from .measure import redundancy_report, weight_redundancy_report
from .report import LEAST_INPUTS, LayerRedundancy, Picture, RedundancyReport

__all__ = [
    "LEAST_INPUTS",
    "LayerRedundancy",
    "Picture",
    "RedundancyReport",
    "redundancy_report",
    "weight_redundancy_report",
]
