"""Makes ``docs/gallery`` and the pictures in ``docs/images`` again: ``python -m benchmarks.gallery WHEELS``.

``benchmarks/reference_values.py`` says where WHEELS come from.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import torch

import cofire
from cofire.papers.demonstration import WIDTHS, run_demo
from cofire.papers.training.datasets import digits
from cofire.papers.training.models import mlp
from cofire.record import Run

from .page import CHROMIUM

DOCS = Path(__file__).parents[1] / "docs"
PAGES = DOCS / "gallery"
PICTURES = {
    "report.png": ("run.html", "light", "", 1500),
    "report-dark.png": ("run.html", "dark", "#pairs", 1150),
    "report-runs.png": ("runs.html", "light", "#layers", 1250),
}
"""For each picture the page, its theme, the section at its top, and its height; it is 1280 wide."""


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
        cofire.report(runs, folder / "runs.html")
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
        take_pictures({"run.html": PAGES, "runs.html": folder})


def take_pictures(folders: Mapping[str, Path]) -> None:
    """Take the pictures that the README and the guides show, of pages in these folders."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, (page, theme, section, height) in PICTURES.items():
            tab = browser.new_page(viewport={"width": 1280, "height": height})
            tab.goto(f"{folders[page].as_uri()}/{page}?theme={theme}")
            tab.wait_for_selector("html[data-drawn=all]", state="attached")
            if section:
                tab.locator(section).evaluate("section => section.scrollIntoView({behavior: 'instant'})")
            tab.wait_for_timeout(500)  # maps are drawn when they come into view
            tab.screenshot(path=DOCS / "images" / name)
        browser.close()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
