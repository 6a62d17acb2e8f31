"""Load models, checkpoints and batches."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
