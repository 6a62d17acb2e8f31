"""cofire: neurons that fire together.

This file is the index of public names; each is imported from its own file when first asked for,
so that ``import cofire`` itself costs nothing.
"""

from typing import TYPE_CHECKING

from ._public import public
from ._version import __version__

if TYPE_CHECKING:
    from . import integrations, nets, papers, record, reports, stats
    from .nets import CorrelationPenalty, capture, shrink, wire
    from .nets.redundancy import inspect
    from .record import Tracker
    from .reports import compare, report
    from .stats import dependence_score, entropy_knn, neuronal_correlation, weight_correlation

__all__ = [
    "CorrelationPenalty", "Tracker", "__version__", "capture", "compare", "dependence_score", "entropy_knn", "inspect",
    "integrations", "nets", "neuronal_correlation", "papers", "record", "report", "reports", "shrink", "stats",
    "weight_correlation", "wire",
]  # fmt: skip

_HOMES = {
    "nets": ("CorrelationPenalty", "capture", "shrink", "wire"),
    "nets.redundancy": ("inspect",),
    "record": ("Tracker",),
    "reports": ("compare", "report"),
    "stats": ("dependence_score", "entropy_knn", "neuronal_correlation", "weight_correlation"),
}

__getattr__, __dir__ = public(__name__, {name: home for home, names in _HOMES.items() for name in names})
