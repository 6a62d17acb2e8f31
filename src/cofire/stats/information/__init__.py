"""Entropy and mutual information of units, in nats."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
