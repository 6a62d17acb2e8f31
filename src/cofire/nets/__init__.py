"""Which layers to measure, and how to get at their activations."""

from .capture import Capture, capture
from .results import Activations
from .sites import Site, Sites, sites

__all__ = ["Activations", "Capture", "Site", "Sites", "capture", "sites"]
