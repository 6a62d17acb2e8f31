"""cofire: neurons that fire together.

This file is the index of public names; each is imported from its own file when first asked for,
so that ``import cofire`` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .nets import CorrelationPenalty, Site, capture, correlation_penalty, shrink, sites, wire
    from .record import Measure, Tracker

_HOME = {"Measure": "record", "Tracker": "record"}  # all others are in nets

__all__ = [
    "CorrelationPenalty", "Measure", "Site", "Tracker", "__version__", "capture", "correlation_penalty", "shrink",
    "sites", "wire",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module(f".{_HOME.get(name, 'nets')}", __name__), name)
    raise AttributeError(f"module 'cofire' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
