"""Findings: what the numbers say, in sentences."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
