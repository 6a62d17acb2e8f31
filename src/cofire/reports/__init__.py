"""Reports: what a run found, as one self-contained page and as a table for the terminal."""

from .data.run_view import View, read
from .page.html import write_report
from .terminal.run_table import summary

__all__ = ["View", "read", "summary", "write_report"]
