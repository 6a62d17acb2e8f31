"""Runs written by the real record, with numbers drawn from known correlations."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cofire.record.measures.activation_sample import sample_arrays
from cofire.record.runs.rows import Array, Row
from cofire.record.runs.run_directory import Run

N_SAMPLES = 1000
FLOOR = float(np.sqrt(2 / (np.pi * (N_SAMPLES - 1))))

MakeRun = Callable[..., Path]


def activations(n_units: int, n_groups: int, strength: float, seed: int = 0) -> np.ndarray:
    """Samples of units that share a group's signal; the first is constant, the last two are copies."""
    generator = np.random.default_rng(seed)
    signals = generator.standard_normal((N_SAMPLES, n_groups))
    group = generator.integers(n_groups, size=n_units)
    share = strength * generator.random(n_units)
    values = np.sqrt(share) * signals[:, group] + np.sqrt(1 - share) * generator.standard_normal((N_SAMPLES, n_units))
    values[:, -1] = -values[:, -2]
    values[:, 0] = 3
    return values


def correlations(values: np.ndarray) -> np.ndarray:
    """Of a first unit that is constant and others that are not."""
    rho = np.full((values.shape[1],) * 2, np.nan)
    rho[1:, 1:] = np.corrcoef(values[:, 1:].T)
    return rho


def layer_arrays(run: str, step: int, site: str, values: np.ndarray, *, sample: bool = True) -> list[Array]:
    rho = correlations(values)
    upper = np.abs(rho[np.triu_indices(len(rho), 1)])
    counts = np.histogram(upper[np.isfinite(upper)], bins=50, range=(0, 1))[0]
    first, second = np.nonzero(np.triu(np.abs(np.nan_to_num(rho)) >= 0.99, 1))
    named = {
        "histogram": counts,
        "correlation": rho.astype(np.float16),
        "correlation_units": np.arange(len(rho)),
        "constant_units": np.flatnonzero(~np.isfinite(rho).any(axis=1)),
        "duplicates": np.stack([first, second, rho[first, second]], axis=1),
    }
    kept = {name: value.numpy() for name, value in sample_arrays(torch.from_numpy(values)).items()} if sample else {}
    return [Array(run, step, site, name, value) for name, value in (named | kept | dependence_arrays(rho)).items()]


def dependence_arrays(rho: np.ndarray) -> dict[str, np.ndarray]:
    """Information as of normal units, but for one pair that shares more."""
    off = np.where(np.eye(len(rho), dtype=bool), np.nan, rho)
    information = -0.5 * np.log1p(-(np.clip(off, -0.999, 0.999) ** 2))
    difference = np.where(np.isnan(off), np.nan, 0.0)
    information[2, 3] = information[3, 2] = 0.9
    difference[2, 3] = difference[3, 2] = np.sqrt(1 - np.exp(-1.8)) - abs(rho[2, 3])
    return {
        "dependence": information.astype(np.float16),
        "dependence_correlation": off.astype(np.float16),
        "dependence_difference": difference.astype(np.float16),
        "dependence_units": np.arange(len(rho)),
        "dependence_chance": np.array([0.0, 0.03]),
    }


def layer_values(value: float, n_units: int) -> dict[str, float]:
    return {
        "nc": value + FLOOR / 2,
        "nc_debiased": value,
        "nc_low": value - 0.01,
        "nc_high": value + 0.01,
        "nc_noise_floor": FLOOR,
        "n_units": n_units,
        "n_constant": 1,
        "wc": 0.04 + value / 10,
        "epsilon": value / 5,
        "dependence": value**2,
        "dependence_threshold": 0.004,
    }


def row(run: str, step: int, site: str, measure: str, value: float, n_samples: int = N_SAMPLES) -> Row:
    return Row(run, step, step // 100, site, measure, "{}", value, n_samples, 0)


def write_run(
    directory: Path,
    layers: Mapping[str, float] | None = None,
    *,
    steps: Sequence[int] = tuple(range(0, 1001, 100)),
    arrays_at: Sequence[int] = (),
    n_units: int = 48,
    rows: Sequence[Row] = (),
    arrays: Sequence[Array] = (),
    left_out: Mapping[str, str] | None = None,
    sample: bool = True,
) -> Path:
    """A run of layers by name with their final debiased NC, or of rows and arrays as given."""
    name = directory.name
    with Run.open(directory, mode="write", config={"widths": [64, 32], "seed": 0}) as run:
        run.describe(model={"layers": dict.fromkeys(layers or {}, "Linear(64, 64)")}, left_out=dict(left_out or {}))
        made = _made_arrays(name, layers or {}, arrays_at or steps[-1:], n_units, sample)
        run.table([*rows, *_grown(name, layers or {}, steps, n_units)], [*arrays, *made])
    return directory


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run, as `write_run` does, by its name."""

    def make(layers: Mapping[str, float] | None = None, *, name: str = "run", **options: Any) -> Path:
        return write_run(tmp_path / name, layers, **options)

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a file: it is driven by Playwright, which brings no browser of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    playwright.expect.set_options(timeout=30_000)  # of a busy machine; an idle one answers at once
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def _grown(name: str, layers: Mapping[str, float], steps: Sequence[int], n_units: int) -> list[Row]:
    rows = []
    for step in steps:
        progress = (step / steps[-1]) ** 0.3 if steps[-1] else 1.0
        rows.append(row(name, step, "", "loss", 2.3 * np.exp(-4 * progress)))
        rows.append(row(name, step, "", "test_accuracy", 0.1 + 0.87 * progress))
        for site, final in layers.items():
            values = layer_values(0.05 + (final - 0.05) * progress, n_units)
            rows += [row(name, step, site, measure, value) for measure, value in values.items()]
            rows.append(row(name, step, f"{site}:pre", "nc", values["nc"] * 0.8))
    return rows


def _made_arrays(
    name: str, layers: Mapping[str, float], steps: Sequence[int], n_units: int, sample: bool
) -> list[Array]:
    return [
        array
        for index, (site, final) in enumerate(layers.items())
        for place, step in enumerate(steps, 1)
        for array in layer_arrays(
            name,
            step,
            site,
            activations(n_units, 4 + index, min(1.0, 2 * final * place / len(steps)), index),
            sample=sample,
        )
    ]
