"""Data as people have them, turned into batches for a model."""

from ...._public import public

__getattr__, __dir__ = public(__name__)
