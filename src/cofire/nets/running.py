"""Know whether a call that began is still running, however it ended."""

import sys
from collections.abc import Collection
from types import FrameType
from typing import Any

from torch import nn

OURS = "cofire.nets."
OURS_AND_TORCH = (OURS, "torch.", "contextlib")


def calling_frame(*, of_user: bool = False) -> FrameType | None:
    """Return the frame in which a hook was called: torch's call of the module, or the user's code that called it."""
    beyond = OURS_AND_TORCH if of_user else (OURS,)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(beyond):
        frame = frame.f_back
    return frame


def outermost_frame(modules: Collection[int]) -> FrameType | None:
    """Return the outermost frame that runs a method of a module, of which the ids are given."""
    found, frame = None, sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and id(frame.f_locals.get(code.co_varnames[0])) in modules:
            found = frame
        frame = frame.f_back
    return found


def method_called(frame: FrameType | None) -> tuple[nn.Module, str, dict[str, Any]] | None:
    """Return the module, the name and the arguments of a method that a frame runs; None if it runs none of a module.

    The arguments are what their names stand for now, which the method may have changed since it began.
    """
    if frame is None or not frame.f_code.co_argcount:
        return None
    code, local = frame.f_code, frame.f_locals
    owner = local.get(code.co_varnames[0])
    method = getattr(type(owner), code.co_name, None)
    if not isinstance(owner, nn.Module) or getattr(method, "__code__", None) is not code:
        return None
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    return owner, code.co_name, {name: local[name] for name in names if name in local}


def is_running(frame: FrameType | None) -> bool:
    """Return whether a frame is on this thread's stack.

    torch does not call hooks behind a forward that KeyboardInterrupt or SystemExit has left, so that only the stack
    tells that it is over.
    """
    here: FrameType | None = sys._getframe(1)
    while here is not None:
        if here is frame:
            return True
        here = here.f_back
    return False
