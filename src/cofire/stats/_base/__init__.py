"""What every statistic rests on: array checks, precision, display, progress, distances."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
