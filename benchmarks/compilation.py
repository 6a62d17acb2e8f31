"""Seconds that compiling adds to the first call of each public entry, with nothing cached and from the cache."""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

ENTRIES = {
    "entropy_knn": "entropy_knn(torch.randn(100, 5))",
    "entropy_knn, whitened": "entropy_knn(torch.randn(100, 5), whiten=True)",
    "dependence_score": "dependence_score(torch.randn(100, 5))",
    'dependence_score, "ksg"': 'dependence_score(torch.randn(100, 5), method="ksg")',
    'dependence_score, "default"': 'dependence_score(torch.randn(100, 5), method="default")',
    'dependence_score, "default", after a ReLU': 'dependence_score(torch.randn(100, 5).relu(), method="default")',
    "mutual_information": "mutual_information(*torch.randn(2, 100))",
    "mutual_information, dependent": "mutual_information(*(torch.randn(100) + torch.randn(2, 100) / 4))",
    "mutual_information, after a ReLU": "mutual_information(*torch.randn(2, 100).relu())",
    "kernel_width_scan": "kernel_width_scan(torch.randn(100, 5), [1.0])",
    "weight_correlation": "weight_correlation(torch.randn(2000, 1000), absolute=False)",
}
CALL = """
import torch, numba
from time import perf_counter
from cofire.stats import *
seconds = []
for _ in range(2):
    start = perf_counter()
    {entry}
    seconds.append(perf_counter() - start)
print(seconds[0] - seconds[1])
"""


def main() -> None:
    table = Table("first call of", "nothing cached, s", "cached, s", "goal", title="Compiling", title_justify="left")
    for name, entry in ENTRIES.items():
        with TemporaryDirectory() as cache:
            table.add_row(name, *(f"{first_call(entry, cache):.2f}" for _ in range(2)), "≤ 4")
    Console().print(table)


def first_call(entry: str, cache: str) -> float:
    command = [sys.executable, "-c", CALL.format(entry=entry)]
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
