"""Run directories: rows, checkpoints, locking, resuming."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
