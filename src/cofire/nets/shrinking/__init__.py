"""Shrink networks: cut what they can spare, and refit what stays in closed form."""

from .plans import apply_plan
from .shrink import shrink
from .shrunk import GroupCut, Point, Shrunk

__all__ = ["GroupCut", "Point", "Shrunk", "apply_plan", "shrink"]
