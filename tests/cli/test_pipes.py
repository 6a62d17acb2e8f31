"""JSON alone on stdout, quiet commands, and exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

from cofire.cli import app
from cofire.cli.exit_statuses import EXCEEDED, FAILED, NOTHING_TO_DO
from cofire.cli.output_files import check_json, check_writable, is_stdout

SOURCE = """
import torch
from torch import nn

class Talks(nn.Sequential):
    def forward(self, x):
        print("the model talks")
        return super().forward(x)

def build():
    torch.manual_seed(0)
    return Talks(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
"""
COMMANDS = {
    "inspect": ["inspect", "pipenets:build", "--data", "x.npy"],
    "compare": ["compare", "pipenets:build", "pipenets:build", "--data", "x.npy"],
    "shrink": ["shrink", "pipenets:build", "--data", "x.npy", "--keep", "0.7", "--out", "smaller"],
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("pipenets.py").write_text(SOURCE)
    np.save("x.npy", np.random.default_rng(0).standard_normal((300, 6)))
    torch.save(nn.Linear(6, 12).state_dict(), "net.pt")
    yield tmp_path
    sys.modules.pop("pipenets", None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_json_alone_on_stdout_and_the_rest_on_stderr(name):
    done = run(*COMMANDS[name], "--json", "-")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert found["schema"] == f"cofire.{name}" and found["version"] == 1 and found["cofire"]
    assert "the model talks" in done.stderr and "0" in done.stderr and not Path("-").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_quiet_commands_print_nothing_but_write_their_files(name):
    done = run(*COMMANDS[name], "--quiet", "--json", "found.json")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(Path("found.json").read_text())["schema"] == f"cofire.{name}"


def test_every_name_in_json_is_in_the_guide():
    """The guide documents each schema in a table; a name that is added or goes must be added or go there."""
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "json.md").read_text()
    for name, command in COMMANDS.items():
        found = json.loads(run(*command, "--json", "-", "--quiet").stdout)
        section = guide.split(f"## cofire {name}")[1].split("\n## ")[0]
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        documented = {key.strip("` ") for row in rows for key in row.split(",")}
        common = {"schema", "cofire", "version"}
        assert documented | common == {*names_in(found, name)}, name


def names_in(found: dict, command: str) -> set[str]:
    """Names at the top, and those of the entries of lists and tables whose names are fixed."""
    names = set(found)
    lists = {"inspect": ["layers"], "compare": ["layers", "findings"], "shrink": ["groups", "curve", "forms"]}[command]
    for key in lists:
        names |= {f"{key}.{inner}" for inner in found[key][0]}
    for key in ("data", "shrink"):
        names |= {f"{key}.{inner}" for inner in found.get(key) or {}}
    if command == "inspect":
        layer = next(one for one in found["layers"] if one["weights"] and one["activations"])
        parts = ("quantities", "activations", "weights")
        names |= {f"layers.{key}.{inner}" for key in parts for inner in layer[key]}
    return names


def test_exit_statuses():
    assert run("inspect", "net.pt", "--fail-above", "wc=0.01", "--quiet").exit_code == EXCEEDED == 1
    assert "wc is above 0.01" in run("inspect", "net.pt", "--fail-above", "wc=0.01", "--quiet").stderr
    nothing = ("--data", "x.npy", "--quiet", "--json", "-")
    done = run("shrink", "pipenets:build", "--out", "smaller", *nothing, "--max-samples", "90")
    assert done.exit_code == NOTHING_TO_DO == 3 and json.loads(done.stdout)["groups"] == []
    assert run("merge", "pipenets:build", "--out", "m.safetensors", "--data", "x.npy", "--quiet").exit_code == 3
    torch.save({"other": torch.randn(3, 4)}, "other.pt")
    torch.save({"other.weight": torch.randn(3, 4)}, "other.pt")
    assert run("compare", "net.pt", "other.pt", "--quiet").exit_code == 3


def test_an_error_is_one_line_and_status_two_even_if_quiet():
    command = [sys.executable, "-m", "cofire", "inspect", "nowhere.pt", "--quiet", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == FAILED == 2
    assert done.stdout == "" and done.stderr == "cofire: nowhere.pt: no such file or directory\n"


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="this system has no /dev/stdout")
@pytest.mark.parametrize("to_file", [False, True])
def test_other_names_of_stdout_count_as_stdout(to_file, here):
    command = [sys.executable, "-m", "cofire", "inspect", "net.pt", "--json", "/dev/stdout"]
    with Path("out.json").open("w") as file:
        done = subprocess.run(command, stdout=file if to_file else subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "weight" in done.stderr.lower()
    found = json.loads(Path("out.json").read_text() if to_file else done.stdout)
    assert found["schema"] == "cofire.inspect"


def test_outputs_that_can_not_be_written():
    with pytest.raises(ValueError, match="only JSON can go to stdout"):
        check_writable(Path("-"))
    with pytest.raises(ValueError, match=r"writing net\.pt would replace net\.pt"):
        check_json(Path("net.pt"), inputs=("net.pt", None))
    os.link("net.pt", "same.pt")
    with pytest.raises(ValueError, match=r"writing same\.pt would replace net\.pt"):
        check_writable(Path("same.pt"), inputs=("net.pt",))
    assert not is_stdout(None) and not is_stdout(Path("net.pt")) and is_stdout(Path("-"))
    assert run("inspect", "net.pt", "--json", "net.pt").exit_code != 0 and torch.load("net.pt")
