"""Cut groups of units out of a network's tensors, and measure how far its outputs move."""

from ..._public import public
from .merged_files import load_merged, merged_bytes
from .output_change import output_error
from .output_errors import OutputError

__all__ = ["OutputError", "load_merged", "merged_bytes", "output_error"]

__getattr__, __dir__ = public(__name__)
