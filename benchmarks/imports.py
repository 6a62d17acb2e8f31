"""How long imports take beyond torch, each in a process of its own."""

import subprocess
import sys
from collections.abc import Callable

from benchmarks.harness import measure, report

TORCH = "import torch"
GOAL = 0.1  # seconds beyond torch
STATEMENTS = [
    "import torch, cofire",
    "import torch; from cofire import capture",
    "import torch; from cofire import Tracker",
    "import torch, cofire.stats",
    "import torch, cofire.cli",
]

HELP = "-m cofire --help"
HELP_GOAL = 0.5  # seconds


def main() -> None:
    seconds = measure({code: running(code) for code in [TORCH, *STATEMENTS, HELP]}, rounds=5)
    beyond = {code: f"{seconds[code] - seconds[TORCH]:+.3f} s" for code in STATEMENTS}
    beyond[STATEMENTS[0]] += f" (≤ {GOAL})"
    beyond[HELP] = f"(≤ {HELP_GOAL} s)"
    report("Imports, and what they add to torch's own", seconds, floor=TORCH, goals=beyond)


def running(code: str) -> Callable[[], object]:
    command = code.split() if code == HELP else ["-c", code]
    return lambda: subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
