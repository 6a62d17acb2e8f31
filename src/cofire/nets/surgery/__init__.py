"""Make networks smaller: fold units into others that explain them, or prune to a given number."""

from ..._public import public
from .cost import Cost, cost
from .cuts import Cut, Surgery
from .fold import fold
from .merged_files import load_merged, merged_bytes
from .output_change import output_error
from .output_errors import OutputError
from .prune import prune

__all__ = [
    "Cost",
    "Cut",
    "OutputError",
    "Surgery",
    "cost",
    "fold",
    "load_merged",
    "merged_bytes",
    "output_error",
    "prune",
]

__getattr__, __dir__ = public(__name__)
