"""Following a model through its training: measures, schedules, the tracker, and what a run leaves behind."""

from .._public import public
from .measures import (
    Cautioned,
    Measure,
    NotMeasured,
    correlation,
    dependence,
    entropy,
    epsilon,
    total_correlation,
    weight_correlation,
    width,
)
from .phase_watch import PhaseWatch, Turn
from .phases import Change, Phases, find_phases
from .runs.resume import Resumable, resumable
from .runs.rows import Array, Row, Rows
from .runs.run_directory import Run, WritableRun
from .runs.run_lock import RunLocked
from .runs.sqlite_connections import DamagedRows
from .schedule import AtSteps, EachEpoch, EverySteps, GeometricSteps, Schedule
from .tracker import Tracker

__all__ = [
    "Array", "AtSteps", "Cautioned", "Change", "DamagedRows", "EachEpoch", "EverySteps", "GeometricSteps",
    "Measure", "NotMeasured", "PhaseWatch", "Phases", "Resumable", "Row", "Rows", "Run", "RunLocked", "Schedule",
    "Tracker", "Turn", "WritableRun", "correlation", "dependence", "entropy", "epsilon", "find_phases", "resumable",
    "total_correlation", "weight_correlation", "width",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
