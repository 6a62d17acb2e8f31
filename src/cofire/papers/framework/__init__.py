"""Experiments, tasks, sweeps, claims and verdicts."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
