"""Kernel matrices of samples, and entropies estimated from them."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
