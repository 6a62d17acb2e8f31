"""Know whether a call that began is still running, however it ended."""

import sys
from types import FrameType

OURS = "cofire.nets."
OURS_AND_TORCH = (OURS, "torch.", "contextlib")


def calling_frame(*, of_user: bool = False) -> FrameType | None:
    """Return the frame in which a hook was called: torch's call of the module, or the user's code that called it."""
    beyond = OURS_AND_TORCH if of_user else (OURS,)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(beyond):
        frame = frame.f_back
    return frame


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
