"""Shrink networks: cut what they can spare, and refit what stays in closed form."""

from ..._public import public
from ..surgery.scores import accuracy
from .export import Form, Saved, save
from .forecast import Forecast, forecast
from .forms.weights import load_shrunk
from .plans import apply_plan
from .shrink import shrink
from .shrunk import GroupCut, Point, Shrunk

__all__ = [
    "Forecast", "Form", "GroupCut", "Point", "Saved", "Shrunk", "accuracy", "apply_plan", "forecast", "load_shrunk",
    "save", "shrink",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
