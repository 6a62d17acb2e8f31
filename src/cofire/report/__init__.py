"""Reports: what a run found, as one self-contained page and as a table for the terminal."""

from .html import write_report
from .table import summary
from .view import View, read

__all__ = ["View", "read", "summary", "write_report"]
