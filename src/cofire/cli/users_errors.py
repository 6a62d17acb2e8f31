"""Say in one line what the user's own code raised: the model that a command runs, or the loader of its data."""

from types import FrameType
from typing import Any

OURS = "cofire."
CALL_OF_A_MODULE = "torch.nn.modules.module"


def users_error(error: BaseException) -> str | None:
    """Return what a model or a loader of the user raised, where, and what to do; None if it comes from elsewhere.

    cofire's own functions were called last in what it raises itself. Behind them the user's code was running, unless
    torch alone was.
    """
    behind: list[tuple[FrameType, int]] = []
    iterating = False
    trace = error.__traceback__
    while trace is not None:
        if _module(trace.tb_frame).startswith(OURS):
            iterating = trace.tb_frame.f_code.co_qualname == "FirstSamples.__iter__"
            behind = []
        else:
            behind.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    ran = any(_module(frame) == CALL_OF_A_MODULE for frame, _ in behind)
    if not behind or not (ran or iterating):
        return None
    what, advice = (
        ("the model's forward", "mend it, or give it other data")
        if ran
        else ("the loader of the data", "mend it; going through its batches by itself shows more")
    )
    own = [one for one in behind if not _module(one[0]).startswith("torch.")] or behind
    frame, line = own[-1]
    place = f"{frame.f_code.co_filename}, line {line}"
    return f"{what} raised {_said(error)} ({place}); {advice}"


def _said(error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", ""))
