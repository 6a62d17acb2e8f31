"""Damaged and foreign runs: reading them gives what was recorded, or one line that names the run; resuming likewise."""

import json
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cofire import Tracker
from cofire.record import Array, Row, Run, correlation, resumable
from cofire.reports.data.shown_arrays import COUNTS, FORMS

from .command import fault_of, inside

SEED = 21
PARTS = ("run.json", "rows.sqlite", "checkpoints")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as a tracker leaves it."""
    directory = tmp_path_factory.mktemp("healthy") / "run"
    torch.manual_seed(SEED)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    with (
        Run.open(directory, mode="write", config={"lr": 0.1}) as run,
        Tracker(model, [correlation()], run=run, every=1) as tracker,
        resumable(run, every=2, model=model, tracker=tracker) as loop,
    ):
        for step in range(5):
            model(torch.randn(40, 5))
            tracker.step()
            tracker.log(loss=1 / (step + 1))
            loop.edge(step + 1)
    facts = json.loads((directory / "run.json").read_text())
    facts["made"] = {"command": "train.py"}  # without the time, so that a seed draws the same damage everywhere
    (directory / "run.json").write_text(json.dumps(facts))
    return directory


def bytes_of(path: Path, draw: random.Random) -> None:
    """Flip, overwrite, cut off, empty or prolong a file."""
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content))
    kind = draw.randrange(5)
    if kind == 0:
        content[place] ^= 1 << draw.randrange(8)
    elif kind == 1:
        size = draw.choice([1, 30, 512, 4096])
        content[place : place + size] = draw.randbytes(len(content[place : place + size]))
    elif kind == 2:
        del content[place:]
    elif kind == 3:
        content.clear()
    else:
        content += draw.randbytes(draw.choice([1, 4096]))
    path.write_bytes(content)


def value_of(content: object, draw: random.Random) -> object:
    """Return JSON with one value somewhere in it replaced by another."""
    odd: list[object] = [None, [], {}, "", "\ud800", -1, 1e308, [[["x"]]], {"a": {"b": None}}, True, "<script>", 10**30]
    if isinstance(content, dict) and content and draw.random() < 0.8:
        key = draw.choice(list(content))
        return {**content, key: value_of(content[key], draw)}
    if isinstance(content, list) and content and draw.random() < 0.8:
        index = draw.randrange(len(content))
        return [*content[:index], value_of(content[index], draw), *content[index + 1 :]]
    return draw.choice(odd)


def damage_file(run: Path, draw: random.Random) -> str:
    files = [path for path in run.rglob("*") if path.is_file() and path.name != "lock" and path.stat().st_size]
    path = draw.choice(sorted(files))
    bytes_of(path, draw)
    return "table" if path.name == "rows.sqlite" else "other"


def damage_description(run: Path, draw: random.Random) -> str:
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(value_of(content, draw)))
    return "other"


def lose(run: Path, draw: random.Random) -> str:
    for name in draw.sample(PARTS, draw.randint(1, 2)):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return "other"


def exchange(run: Path, draw: random.Random) -> str:
    """Put something else in the place of a part: a folder, text, another part."""
    path = run / draw.choice(PARTS)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    kind = draw.randrange(3)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.write_text("[1, 2]")
    else:
        other = run / draw.choice(("run.json", "rows.sqlite"))
        shutil.copyfile(other, path) if other.is_file() else path.touch()
    return "other"


def well_formed(sites: list[str], steps: list[int], draw: random.Random) -> list[Array]:
    """Arrays of the right types and shapes, with values that no measure gives."""
    found = []
    for site in sites:
        lengths = {axis: draw.choice([0, 1, 2, 9]) for form in FORMS.values() for axis in form}
        lengths |= {"2": 2, "3": 3}
        for name, form in FORMS.items():
            shape = [lengths[axis] for axis in form]
            of_counts = name in COUNTS
            pool = [0, 1, 2**40] if of_counts else [0.5, -1.0, 0.0, 1e300, -1e300, np.nan, np.inf, -np.inf]
            value = np.random.default_rng(draw.randrange(99)).choice(pool, size=shape)
            found += [Array("run", step, site, name, value) for step in steps]
    return found


def add_foreign(run: Path, draw: random.Random) -> str:
    """Record what no tracker of ours would, under the names that reports show."""
    names = ["nc", "nc_debiased", "nc_low", "nc_high", "n_units", "n_constant", "width", "wc", "loss", "odd\u202e<b>"]
    values = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, 0.0, -3.0, 2.0**70, 0.5]
    shapes = [(0,), (3,), (7,), (2, 2), (3, 3), (1, 3), (2, 3, 4), (), (0, 3), (5, 8)]
    generator = np.random.default_rng(draw.randrange(2**32))
    with Run.open(run, mode="write") as opened:
        steps = draw.choice([[6, 7], [6, 2**62], [10**15], [6], list(range(6, 90))])
        sites = draw.sample(["", "0", "2", "0:pre", "0#1", "new\n", "😀" * 60, "a.b.c", "0.ih_l0.n"], 3)
        rows = [
            Row(
                "run",
                step,
                draw.choice([0, 2**40]),
                site,
                name,
                "{}",
                draw.choice(values),
                draw.choice([0, 1, 2**50]),
                0,
            )
            for step in steps
            for site in sites
            for name in draw.sample(names, 4)
        ]
        arrays = well_formed(sites, [*steps, 5], draw) if draw.random() < 0.4 else []
        for site in sites if draw.random() < 0.3 and not arrays else ():
            for name in draw.sample(list(FORMS), 5):
                array = generator.choice([*values, 3.0, 1.0], size=draw.choice(shapes))
                kind = draw.choice(["f8", "f2", "i8", "u1", "U3", "?", "c16"])
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    arrays.append(Array("run", draw.choice([*steps, 5]), site, name, np.asarray(array).astype(kind)))
        with warnings.catch_warnings():
            opened.table(rows, arrays)
    return "foreign"


KINDS: list[Callable[[Path, random.Random], str]] = [damage_file, damage_description, lose, exchange, add_foreign]


def resumed(run: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    with (
        Run.open(run, mode="write", config={"lr": 0.1}) as opened,
        Tracker(model, [correlation()], run=opened, every=1) as tracker,
        resumable(opened, every=2, model=model, tracker=tracker),
    ):
        pass


def fault_of_run(run: Path, healthy: Path, kind: str) -> str | None:
    """Return what is wrong with how a damaged run is read and resumed."""
    page = str(run.parent / "page.html")
    for arguments in (["report", str(run), "-o", page], ["compare", str(run), str(healthy), "--html", page]):
        if fault := fault_of(arguments):
            return fault
    try:
        with Run.open(run) as opened:
            rows = opened.rows()
        with Run.open(healthy) as opened:
            recorded = opened.rows()
        if kind == "table" and rows != recorded:
            return "damaged rows were read without notice"
    except (OSError, ValueError) as error:
        if str(run) not in str(error):
            return f"reading: {error} does not name the run"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            resumed(run)
    except (OSError, ValueError) as error:
        if str(run) not in f"{error} {getattr(error, 'filename', '')}":
            return f"resuming: {type(error).__name__}: {error} does not name the run"
    except Exception as error:
        return f"resuming raised {type(error).__name__}: {error}"
    return None


def faults(seed: int, number: int, folder: Path, healthy: Path) -> list[str]:
    draw, found = random.Random(seed), []
    with inside(folder):
        for index in range(number):
            run = folder / f"case{index}" / "run"
            shutil.copytree(healthy, run)
            harm = KINDS[index % len(KINDS)]
            kind = harm(run, draw)
            if fault := fault_of_run(run, healthy, kind):
                found.append(f"{index}, {harm.__name__}: {fault}")
            shutil.rmtree(run.parent)
    return found


@pytest.mark.parametrize("number", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_damaged_runs_are_told_in_a_line_or_read_as_they_were(number: int, tmp_path: Path, healthy: Path) -> None:
    assert faults(SEED, number, tmp_path, healthy) == []


def test_it_finds_damage_that_passes(tmp_path: Path, healthy: Path, monkeypatch) -> None:
    def change(run: Path, draw: random.Random) -> str:
        import sqlite3

        with sqlite3.connect(run / "rows.sqlite") as connection:
            connection.execute("UPDATE rows SET value = value + 1 WHERE measure = 'loss'")
        connection.close()
        return "table"

    monkeypatch.setattr(f"{__name__}.KINDS", [change])
    assert faults(SEED, 1, tmp_path, healthy) == []
    monkeypatch.setattr("cofire.record.runs.rows.verify", lambda connection, *, after: None)
    assert any("without notice" in fault for fault in faults(SEED, 1, tmp_path, healthy))


def test_it_finds_a_traceback(tmp_path: Path, healthy: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError("a mistake of our own")

    monkeypatch.setattr("cofire.record.runs.run_directory.read_facts", fail)
    assert any("IndexError" in fault for fault in faults(SEED, 2, tmp_path, healthy))
