"""What a report on 30 layers and 200 recordings weighs, and how long a browser takes to show it; goals 8 MB and 2 s."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

from cofire.record.runs.rows import Array, Row
from cofire.record.runs.run_directory import Run
from cofire.reports import write_report

LAYERS, RECORDINGS, EVERY = 30, 200, 50
WIDTHS = (64, 128, 512, 1024, 4096)
CHROMIUM = "/usr/bin/chromium"
MATRICES_AT = (1, 2, 4, 8, 16, 32, 64, 128, 200)
MEASURES = ("nc", "nc_debiased", "nc_low", "nc_high", "wc", "epsilon", "dependence", "nonlinear_excess")
"""Recordings with arrays: a tracker's own schedule."""


def made_run(directory: Path, seed: int = 0) -> Path:
    """Make a run in which every layer has matrices of both kinds and samples."""
    generator = np.random.default_rng(seed)
    with Run.open(directory, mode="write", config={"seed": seed}) as run:
        run.describe(model={"layers": {name_of(layer): "Linear" for layer in range(LAYERS)}})
        run.table(list(rows_of(generator)))
        for layer in range(LAYERS):
            run.table([], list(arrays_of(layer, generator)))
    return directory


def name_of(layer: int) -> str:
    """As in a transformer."""
    return f"model.encoder.layers.{layer}.mlp.fc1"


def rows_of(generator: np.random.Generator) -> Iterator[Row]:
    """Curves that grow and fall a little, with noise."""
    for recording in range(RECORDINGS):
        step, share = recording * EVERY, recording / RECORDINGS
        yield Row("run", step, 0, "", "loss", "{}", 2 * np.exp(-3 * share), 0, 0)
        for layer in range(LAYERS):
            level = 0.05 + 0.3 * share**0.5 * (1 - 0.4 * share) * (1 + layer / LAYERS)
            values = dict.fromkeys(MEASURES, level) | {"nc_low": level - 0.01, "nc_high": level + 0.01}
            fixed = {"nc_noise_floor": 0.02, "n_units": WIDTHS[layer % len(WIDTHS)], "n_constant": layer}
            for measure, value in values.items():
                yield row(step, layer, measure, value + 0.002 * generator.standard_normal())
            for measure, value in fixed.items():
                yield row(step, layer, measure, value)


def row(step: int, layer: int, measure: str, value: float) -> Row:
    """One number of a layer."""
    return Row("run", step, 0, name_of(layer), measure, "{}", value, 2000, 0)


def arrays_of(layer: int, generator: np.random.Generator) -> Iterator[Array]:
    """Return the arrays that `correlation` and `dependence` keep of rectified units that share signals."""
    n_units = min(WIDTHS[layer % len(WIDTHS)], 256)
    numbers = np.arange(n_units) * WIDTHS[layer % len(WIDTHS)] // n_units
    mixing = generator.standard_normal((8, n_units)) * (generator.random((8, n_units)) < 0.3)
    for recording in MATRICES_AT:
        step, strength = (recording - 1) * EVERY, 0.2 + 0.8 * recording / RECORDINGS
        x = strength * generator.standard_normal((1000, 8)) @ mixing + generator.standard_normal((1000, n_units))
        for name, value in kept_of(np.maximum(x, 0), numbers).items():
            yield Array("run", step, name_of(layer), name, value)


def kept_of(x: np.ndarray, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of a recording, by name."""
    rho = np.corrcoef(x.T)
    some = np.arange(min(len(rho), 128)) * len(rho) // min(len(rho), 128)
    few = rho[np.ix_(some, some)]
    noise = np.abs(np.random.default_rng(0).normal(0, 0.02, few.shape))
    information = -0.5 * np.log1p(-(np.clip(few, -0.999, 0.999) ** 2)) + (noise + noise.T) / 2
    difference = np.where(noise + noise.T > 0.09, 0.2, 0.0)
    kept = x[:256, some]
    high = np.maximum(kept.max(0), 1e-9)
    return {
        "histogram": np.histogram(np.abs(rho[np.triu_indices(len(rho), 1)]), bins=50, range=(0, 1))[0],
        "correlation": rho.astype(np.float16),
        "correlation_units": numbers,
        "constant_units": np.arange(3),
        "duplicates": np.zeros((0, 3)),
        "dependence": information.astype(np.float16),
        "dependence_correlation": few.astype(np.float16),
        "dependence_difference": difference.astype(np.float16),
        "dependence_units": numbers[some],
        "dependence_chance": np.array([0.0, 0.03]),
        "sample": (kept / high).astype(np.float16),
        "sample_range": np.stack([np.zeros(len(some)), high]),
        "sample_units": numbers[some],
    }


def shown_after(page: Path, rounds: int) -> dict[str, float]:
    """Seconds from the start of the navigation, by what is then there: medians over fresh tabs of one browser."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds + 1):
            tab = browser.new_page(viewport={"width": 1300, "height": 1000})
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-drawn=all]", state="attached")
            for name, milliseconds in tab.evaluate(TIMES).items():
                found.setdefault(name, []).append(milliseconds / 1000)
            tab.close()
        browser.close()
    return {name: median(values[1:]) for name, values in found.items()}


TIMES = """async () => ({
  "first paint": performance.getEntriesByName("first-contentful-paint")[0].startTime,
  "all drawn, to the last small map": performance.getEntriesByName("drawn")[0].startTime,
  "all drawn and on the screen": await new Promise((shown) =>
    requestAnimationFrame(() => requestAnimationFrame(() => shown(performance.now())))),
  "a move of the slider": (() => {
    const slider = document.getElementById("step");
    const start = performance.now();
    slider.value = 100;
    slider.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    return performance.now() - start;
  })(),
})"""


def main(rounds: int = 5) -> None:
    """Write the page, weigh it, show it."""
    with tempfile.TemporaryDirectory() as folder:
        run = made_run(Path(folder) / "run")
        start = perf_counter()
        page = write_report(run, Path(folder) / "page.html")
        seconds = perf_counter() - start
        table = Table(title=f"Page of {LAYERS} layers, {RECORDINGS} recordings", title_justify="left")
        for column in ("", "measured", "goal"):
            table.add_column(column, justify="right" if column == "measured" else "left")
        table.add_row("size", f"{page.stat().st_size / 1e6:.2f} MB", "below 8 MB")
        table.add_row("writing it", f"{seconds:.2f} s")
        if Path(CHROMIUM).exists():
            goals = {"all drawn and on the screen": "below 2 s"}
            for name, value in shown_after(page, rounds).items():
                table.add_row(name, f"{value:.3f} s", goals.get(name, ""))
        else:
            table.add_row("showing it", f"there is no {CHROMIUM}")
        Console().print(table)


if __name__ == "__main__":
    main()
