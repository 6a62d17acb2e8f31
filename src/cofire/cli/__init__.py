"""The command line: arguments in, calls out. One file a command; heavy imports happen inside the commands."""

from .._public import public
from .commands import app, main

__all__ = ["app", "main"]

__getattr__, __dir__ = public(__name__)
