"""Callbacks, metrics and sinks for other frameworks; each file imports one of them."""

from typing import TYPE_CHECKING

from .._public import public

if TYPE_CHECKING:
    from . import accelerate, lightning, loggers, torchmetrics, transformers

__all__ = ["accelerate", "lightning", "loggers", "torchmetrics", "transformers"]

__getattr__, __dir__ = public(__name__)
