"""Data sets, networks and training loops that the papers share."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
