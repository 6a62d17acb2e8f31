"""Reports: what a run, an inspection or a comparison found, as self-contained pages and as tables for the terminal."""

from .._public import public
from .comparing import compare
from .data.comparison import Comparison
from .data.run_view import View, read
from .page.html import write_report
from .reporting import report
from .terminal.run_table import summary

__all__ = ["Comparison", "View", "compare", "read", "report", "summary", "write_report"]

__getattr__, __dir__ = public(__name__)
