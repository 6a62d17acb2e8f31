"""Reports: a run's findings as one self-contained page, and as a table for the terminal."""

from .html import write_report

__all__ = ["write_report"]
