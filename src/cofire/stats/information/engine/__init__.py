"""The compiled search for nearest neighbors in pairs of units, and the estimators built on it."""

from ...._public import public

__getattr__, __dir__ = public(__name__)
