"""The command line: arguments in, calls out. One file a command; heavy imports happen inside the commands."""

from .commands import app, main

__all__ = ["app", "main"]
