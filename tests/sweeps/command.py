"""Running ``cofire`` in this process many times, and what counts as a fault."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from cofire.cli import main

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))

def wrong():
    raise KeyError("a mistake of the user")

def leaves():
    raise SystemExit(0)

def no_model():
    return 3

class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)
    def forward(self, x):
        return self.fc(x)[7]["x"]

def batches():
    return [torch.randn(40, 6) for _ in range(4)]

def labelled():
    return [(torch.randn(40, 6), torch.randint(0, 3, (40,))) for _ in range(4)]

def empty():
    return []

def texts():
    return ["a", "b"]
"""
"""A module of the user's own."""


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Run in a folder whose modules can be imported."""
    here, paths = Path.cwd(), list(sys.path)
    (folder / "sweepnets.py").write_text(SOURCE)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(here)
        sys.path[:] = paths
        sys.modules.pop("sweepnets", None)


def fault_of(arguments: Sequence[str], *, one_line: bool = True) -> str | None:
    """Run a command line; return what is wrong with how it ended, or None.

    It must leave with a status from 0 to 3, without a traceback, and say what is wrong, if anything is, in one line.
    """
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with (
        mock.patch.object(sys, "argv", ["cofire", *arguments]),
        mock.patch("cofire.reports.page.server.Server.serve_forever", side_effect=KeyboardInterrupt),
        mock.patch("webbrowser.open", return_value=False),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code or 0
        except BaseException as error:
            return f"cofire {' '.join(arguments)!r} raised {type(error).__name__}: {error}"
    said = [line for line in err.getvalue().splitlines() if line.startswith("cofire: ")]
    if code not in (0, 1, 2, 3) or "Traceback" in err.getvalue():
        return f"cofire {' '.join(arguments)!r} ended with {code!r}: {err.getvalue()[-500:]}"
    usage = "Usage: " in err.getvalue() or "─ Error ─" in err.getvalue()  # typer says these
    if one_line and code == 2 and not usage and (len(said) != 1 or len(said[0]) > 1500 or "Errno" in said[0]):
        return f"cofire {' '.join(arguments)!r} said: {err.getvalue()[-800:]}"
    return None
