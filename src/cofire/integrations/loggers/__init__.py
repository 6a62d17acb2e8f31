"""Sinks that pass a tracker's rows to experiment loggers; each file imports one package."""

from typing import TYPE_CHECKING

from ..._public import public

if TYPE_CHECKING:
    from . import mlflow, tensorboard, trackio, wandb

__all__ = ["mlflow", "tensorboard", "trackio", "wandb"]

__getattr__, __dir__ = public(__name__)
