"""Correlation between the incoming weight vectors of units."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
