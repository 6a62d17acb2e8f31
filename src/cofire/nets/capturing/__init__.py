"""Capture the activations of chosen layers while a model runs, without changing the model."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
