"""Command lines drawn at random from options, files and values of all kinds: no traceback, and no input changes."""

import hashlib
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cofire.record import Row, Run

from .command import fault_of, inside

SEED = 20
NUMBERS = ["0", "1", "-1", "0.5", "1e400", "nan", "inf", "2", "seven", "", "9" * 30, "1_0", "٣"]
FACTORIES = [f"sweepnets:{name}" for name in ("build", "wrong", "leaves", "no_model", "Fails", "gone", "__dict__")]
FACTORIES += ["sweepnets", "os:system", "no.such:thing", "torch.nn:Identity", ":", "a:b:c", "sweepnets:build()"]
LOADERS = [f"sweepnets:{name}" for name in ("batches", "labelled", "empty", "texts", "wrong")]
FILES = ["good.pt", "good.safetensors", "damaged.pt", "empty.pt", "gone.pt", "folder", "link.pt", "pipe.pt", "text.txt"]
DATA = ["arrays", "arrays/x.npy", "damaged.npy", "objects.npy", "digits ", *LOADERS]
RUNS = ["run", "run2", "bare", "lost", "damaged", "linked", "nowhere", "good.pt", "r\udcff"]
OUTPUTS = ["out.html", "out.json", "out.safetensors", "good.pt", "run/rows.sqlite", "run/run.json", "link.html"]
OUTPUTS += ["folder"]
OUTPUTS += ["no/such/folder.html", "run/page.html", "sweepnets.py", "arrays/x.npy", "/dev/null", "a" * 300, ".", ""]
PATTERNS = ["*", "0", "re:(", "!0", "re:.*", "nothing", "", "0:pre", "\udcff"]
GATES = ["nc=0.4", "copies=0", "nc", "nc=", "=3", "wc=2", "nc_low=nan", "what=0.1", "superfluous=1"]
GRAMMAR: dict[str, tuple[list[list[str]], dict[str, list[str]]]] = {
    "report": ([RUNS], {"--output": OUTPUTS, "--open": []}),
    "watch": ([RUNS], {"--port": ["0", "-1", "70000", "x"]}),
    "compare": (
        [FILES + RUNS + FACTORIES, FILES + RUNS + FACTORIES],
        {"--model": FACTORIES, "--key": ["model", "", "a.b"], "--data": DATA, "--html": OUTPUTS, "--json": OUTPUTS}
        | {"--max-samples": NUMBERS, "--allow-unexpected": []},
    ),
    "inspect": (
        [FILES + FACTORIES],
        {"--weights": FILES, "--key": ["model", "a.b"], "--data": DATA, "--html": OUTPUTS, "--json": OUTPUTS}
        | {"--fail-above": GATES, "--layers": PATTERNS, "--max-samples": NUMBERS, "--allow-unexpected": []}
        | {"--device": ["cpu", "cuda:99", "tpu", ""]},
    ),
    "merge": (
        [FILES + FACTORIES],
        {"--out": OUTPUTS, "--weights": FILES, "--data": DATA, "--tolerance": NUMBERS, "--keep": NUMBERS}
        | {"--layers": PATTERNS, "--check": DATA, "--max-samples": NUMBERS},
    ),
    "shrink": (
        [FILES + FACTORIES],
        {"--out": OUTPUTS, "--data": DATA, "--keep": NUMBERS, "--max-loss": NUMBERS, "--score": ["accuracy", "x"]}
        | {"--per": ["flops", "x"], "--round-to": NUMBERS, "--leave": PATTERNS, "--seed": NUMBERS, "--json": OUTPUTS},
    ),
    "demo": (
        [["--run"], ["damaged", "good.pt", "lost", "run"]],
        {"--output": OUTPUTS, "--seed": ["-1", "x", "3"], "--epochs": ["0", "1", "x"]},
    ),
    "reproduce": ([["no.such", ""]], {"--scale": ["smoke", "x"], "--seeds": ["0", "5:3", "a", ":"], "--jobs": NUMBERS}),
    "experiments": ([], {"--scale": ["smoke", "x"], "--out": ["good.pt", "folder", "no/such"]}),
    "dance": ([], {"--tempo": NUMBERS}),
}
INPUTS = ("*.pt", "*.safetensors", "*.npy", "*.txt", "run.json", "rows.sqlite", "sweepnets.py", "precious")


def make_files(folder: Path) -> None:
    """Write one of each kind of file that a command may be given."""
    state = {"0.weight": torch.randn(12, 6), "0.bias": torch.randn(12), "2.weight": torch.randn(3, 12)}
    state["2.bias"] = torch.randn(3)
    torch.save(state, folder / "good.pt")
    save_file(state, folder / "good.safetensors")
    (folder / "damaged.pt").write_bytes((folder / "good.pt").read_bytes()[:700])
    (folder / "empty.pt").touch()
    (folder / "text.txt").write_text("just text")
    (folder / "folder").mkdir()
    (folder / "link.pt").symlink_to(folder / "good.pt")
    (folder / "precious").write_text("somebody else's")
    (folder / "link.html").symlink_to(folder / "precious")
    os.mkfifo(folder / "pipe.pt")
    (folder / "arrays").mkdir()
    np.save(folder / "arrays" / "x.npy", np.random.default_rng(0).normal(size=(150, 6)))
    (folder / "damaged.npy").write_bytes((folder / "arrays" / "x.npy").read_bytes()[:90])
    np.save(folder / "objects.npy", np.array([print, None]), allow_pickle=True)
    for name in ("run", "run2", "lost", "damaged"):
        with Run.open(folder / name, mode="write") as run:
            run.table([Row(name, step, 0, "fc", "nc", "{}", 0.5 / (step + 1), 10, 0) for step in range(5)])
    (folder / "lost" / "rows.sqlite").unlink()
    (folder / "damaged" / "run.json").write_text("{")
    (folder / "bare").mkdir()
    (folder / "linked").symlink_to(folder / "run")


def drawn(draw: random.Random) -> list[str]:
    """Return a command line; most are wrong somewhere."""
    name = draw.choice(list(GRAMMAR))
    positions, options = GRAMMAR[name]
    words = [draw.choice(values) for values in positions if draw.random() < 0.95]
    for option in draw.sample(list(options), draw.randint(0, min(4, len(options)))):
        values = options[option]
        words += [option, *([draw.choice(values)] if values and draw.random() < 0.95 else [])]
    return [name, *words]


def digests(folder: Path) -> dict[str, str]:
    paths = {path for pattern in INPUTS for path in folder.rglob(pattern)}
    kept = [path for path in paths if path.is_file() and not path.is_symlink() and not path.name.startswith("out.")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def faults(seed: int, number: int, folder: Path) -> list[str]:
    """Run that many command lines; return what went wrong."""
    draw, found = random.Random(seed), []
    make_files(folder)
    with inside(folder):
        before = digests(folder)
        for _ in range(number):
            arguments = drawn(draw)
            if fault := fault_of(arguments):
                found.append(fault)
            now = digests(folder)
            if changed := [name for name in before if now.get(name) != before[name]]:
                found.append(f"cofire {json.dumps(arguments)} changed {changed}")
                break
    return found


@pytest.mark.parametrize("number", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_no_command_line_ends_in_a_traceback_or_changes_an_input(number: int, tmp_path: Path) -> None:
    assert faults(SEED, number, tmp_path) == []


def test_it_finds_a_traceback_that_is_planted(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("a mistake of our own")

    monkeypatch.setattr("cofire.nets.loading.checkpoint_files.read_checkpoint", fail)
    assert any("LookupError" in fault for fault in faults(SEED, 40, tmp_path))


def test_it_finds_an_input_that_is_overwritten(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("cofire.cli.output_files._replaces", lambda output, given: False)
    monkeypatch.setattr("cofire.cli.output_files.REPLACED", (".pt",))
    (tmp_path / "planted").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(f"{__name__}.drawn", lambda draw: ["inspect", "good.pt", "--json", "good.pt"])
        assert any("changed ['good.pt']" in fault for fault in faults(SEED, 1, tmp_path / "planted"))
