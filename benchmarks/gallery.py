"""Makes the pages of ``docs/gallery`` again: ``python -m benchmarks.gallery WHEELS``.

``benchmarks/reference_values.py`` says where WHEELS come from.
"""

import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

import torch

import cofire
from cofire.papers.demonstration import WIDTHS, run_demo
from cofire.papers.training.datasets import digits
from cofire.papers.training.models import mlp
from cofire.record import Run

PAGES = Path(__file__).parents[1] / "docs" / "gallery"


def main() -> None:
    """Write each page."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m benchmarks.gallery WHEELS, the folder of what pip has downloaded")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [folder / "seed-0", folder / "seed-1"]
        for seed, run in enumerate(runs):
            run_demo(run, epochs=30, seed=seed)
        cofire.report(runs[0], PAGES / "run.html")
        cofire.report(cofire.compare(*runs), PAGES / "compared_runs.html")
        trained = mlp(WIDTHS, seed=0)
        with Run.open(runs[0], mode="write") as run:
            _, states = run.load() or (0, {})
        trained.load_state_dict(states["model"])
        inputs = digits(seed=0).test_x
        cofire.report(cofire.inspect(trained, inputs), PAGES / "inspected.html", title="A network for digits")
        before = cofire.inspect(mlp(WIDTHS, seed=0), inputs)
        cofire.report(cofire.compare(before, cofire.inspect(trained, inputs)), PAGES / "compared_networks.html")
        (wheel,) = Path(sys.argv[1]).glob("silero_vad-*.whl")
        weights = ZipFile(wheel).extract("silero_vad/data/silero_vad_16k.safetensors", folder)
        cofire.report(cofire.inspect(weights), PAGES / "weights.html", title="silero_vad_16k.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
