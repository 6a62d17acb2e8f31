"""Correlation between units: streaming moments, summaries, noise floor, interval."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
