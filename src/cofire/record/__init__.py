"""Following a model through its training: measures, schedules, the tracker, and what a run leaves behind."""

from .lock import RunLocked
from .measures import Measure, correlation, epsilon, weight_correlation
from .phases import Change, Phases, PhaseWatch, Turn, find_phases
from .resume import Resumable, resumable
from .rows import Array, Row, Rows
from .runs import Run, WritableRun
from .schedule import AtSteps, EachEpoch, EverySteps, GeometricSteps, Schedule
from .tracker import Tracker

__all__ = [
    "Array",
    "AtSteps",
    "Change",
    "EachEpoch",
    "EverySteps",
    "GeometricSteps",
    "Measure",
    "PhaseWatch",
    "Phases",
    "Resumable",
    "Row",
    "Rows",
    "Run",
    "RunLocked",
    "Schedule",
    "Tracker",
    "Turn",
    "WritableRun",
    "correlation",
    "epsilon",
    "find_phases",
    "resumable",
    "weight_correlation",
]
