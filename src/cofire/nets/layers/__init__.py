"""Layers and sites: names, patterns, and where the units are in activations and weights."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
