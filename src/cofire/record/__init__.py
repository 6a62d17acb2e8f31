"""Following a model through its training: measures, schedules, the tracker, and what a run leaves behind."""

from .lock import RunLocked
from .measures import Measure, correlation, epsilon, weight_correlation
from .resume import Resumable, resumable
from .rows import Array, Row, Rows
from .runs import Run, WritableRun
from .schedule import AtSteps, EachEpoch, EverySteps, GeometricSteps, Schedule
from .tracker import Tracker

__all__ = [
    "Array",
    "AtSteps",
    "EachEpoch",
    "EverySteps",
    "GeometricSteps",
    "Measure",
    "Resumable",
    "Row",
    "Rows",
    "Run",
    "RunLocked",
    "Schedule",
    "Tracker",
    "WritableRun",
    "correlation",
    "epsilon",
    "resumable",
    "weight_correlation",
]
