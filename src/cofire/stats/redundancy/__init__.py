"""Redundancy of a layer: duplicates, linear dependence, effective rank, width."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
