"""Inspecting 1 GB of weights next to reading them and the products it needs: of units, and of the spectrum's side.

Singular values come from a float64 product of the shorter side, which must then be reduced to a tridiagonal matrix: no
product, but for narrow layers most of the time. A contender of its own shows how much.
Each contender is a process of its own, so that its peak of memory is its own. The file is read once before, so that all
find it in the system's cache. ``COFIRE_BENCHMARK_ONLY`` names one of the files, and ``COFIRE_BENCHMARK_ROUNDS`` how
often each runs (3).
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor

from cofire.nets.loading.checkpoint_files import read_checkpoint
from cofire.nets.redundancy import weight_redundancy_report
from cofire.stats.redundancy.weight_redundancy import WIDEST

GOAL = 3.0
ROUNDS = int(os.environ.get("COFIRE_BENCHMARK_ROUNDS", "3"))
TILE = 4096


def transformer(width: int) -> list[tuple[int, ...]]:
    """Return the weights of one block."""
    return [*[(width, width)] * 4, (4 * width, width), (width, 4 * width)]


FILES: dict[str, list[tuple[int, ...]]] = {
    "transformer, width 1024, 21 blocks": transformer(1024) * 21,
    "transformer, width 2048, 5 blocks": transformer(2048) * 5,
    "convolutions, 512 channels, 3×3": [(512, 512, 3, 3)] * 110,
    "one weight, 16384 × 16384": [(16384, 16384)],
    "small layers, 512 × 512": [(512, 512)] * 1000,
}


def touch(path: Path) -> None:
    """Every byte is needed."""
    for weight in read_checkpoint(path).weights.values():
        weight.sum()


def multiply(path: Path) -> None:
    """All units with all in float32, in tiles of rows; the shorter side in float64, if it is not too wide."""
    for weight in read_checkpoint(path).weights.values():
        units = weight.flatten(1)
        for rows in units.split(TILE):
            torch.mm(rows, units.T)
        _gram(units)


def multiply_and_reduce(path: Path) -> None:
    """Compute the same, and the eigenvalues of the latter."""
    for weight in read_checkpoint(path).weights.values():
        units = weight.flatten(1)
        for rows in units.split(TILE):
            torch.mm(rows, units.T)
        torch.linalg.eigvalsh(_gram(units))


def _gram(units: Tensor) -> Tensor:
    side = min(units.shape)
    tall = units if units.shape[1] == side else units.T
    gram = torch.zeros(side, side, dtype=torch.float64) if side <= WIDEST else torch.zeros(0, 0)
    for rows in tall.split(TILE) if len(gram) else ():
        exact = rows.double()
        gram.addmm_(exact.T, exact)
    return gram


def inspect(path: Path) -> None:
    """Do what ``cofire inspect`` does."""
    weight_redundancy_report(read_checkpoint(path).weights)


CONTENDERS: dict[str, Callable[[Path], None]] = {
    "read": touch,
    "products": multiply,
    "products, eigenvalues": multiply_and_reduce,
    "inspect": inspect,
}


def main() -> None:
    only = os.environ.get("COFIRE_BENCHMARK_ONLY", "")
    for title, shapes in FILES.items():
        if only in title:
            with TemporaryDirectory() as folder:
                path = Path(folder, "weights.safetensors")
                write(path, shapes)
                show(title, {name: [alone(name, path) for _ in range(ROUNDS)] for name in CONTENDERS})


def write(path: Path, shapes: list[tuple[int, ...]]) -> None:
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {
        f"layer.{index}.weight": torch.randn(shape, generator=generator) for index, shape in enumerate(shapes)
    }
    save_file(weights, path)


def alone(name: str, path: Path) -> dict[str, float]:
    """Seconds and peak of memory of a contender in a process of its own, without its imports' seconds."""
    command = [sys.executable, "-m", "benchmarks.inspect", name, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(name: str, path: Path) -> None:
    torch.set_num_threads(2)
    small = {"layer.weight": torch.randn(300, 300)}
    weight_redundancy_report(small)  # compiled code is loaded once a process, whatever the file
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = perf_counter()
    CONTENDERS[name](path)
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak": (peak - before) / 1024}))


def show(title: str, runs: dict[str, list[dict[str, float]]]) -> None:
    seconds = {name: median(run["seconds"] for run in found) for name, found in runs.items()}
    floor = seconds["products"]  # which reads the file too
    table = Table("", "seconds", "ratio to read and products", "peak MB above imports", "goal", title=title)
    for name, found in runs.items():
        goal = f"≤ {GOAL:g}" if name == "inspect" else ""
        peak = max(run["peak"] for run in found)
        table.add_row(name, f"{seconds[name]:.3g}", f"{seconds[name] / floor:.3g}", f"{peak:.0f}", goal)
    Console().print(table)


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]))
