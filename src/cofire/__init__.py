"""cofire: neurons that fire together.

This file is the index of public names; each is imported from its own file when first asked for,
so that ``import cofire`` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .nets import Site, capture, sites
    from .record import Measure, Tracker

_HOME = {
    "Measure": "record",
    "Site": "nets",
    "Tracker": "record",
    "capture": "nets",
    "sites": "nets",
}

__all__ = ["Measure", "Site", "Tracker", "__version__", "capture", "sites"]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'cofire' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
