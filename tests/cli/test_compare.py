import json
import sys

import pytest
import torch
from typer.testing import CliRunner, Result

from cofire.cli import app, main
from cofire.nets.loading.factories import build_model
from cofire.nets.shrinking import shrink
from cofire.nets.surgery import merged_bytes
from cofire.record import Run, Tracker, correlation

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "comparenets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = build_model("comparenets:build")
    torch.save(model.state_dict(), "a.pt")
    with torch.no_grad():
        model[1].weight += 1.0
    torch.save({f"module.{name}": value for name, value in model.state_dict().items()}, "b.pt")
    yield tmp_path
    sys.modules.pop("comparenets", None)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments])


def complaint(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["cofire", "compare", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    return capsys.readouterr().err


def test_two_files_of_weights():
    done = invoke("a.pt", "b.pt")
    assert done.exit_code == 0, done.output
    assert "Weight vectors are more alike in 1: " in done.stdout
    assert "a.pt → b.pt" in done.stdout


def test_with_a_model_and_data_a_smaller_checkpoint_loads_too(folder):
    smaller = shrink(build_model("comparenets:build"), torch.randn(500, 64), keep={"1": 8})
    (folder / "c.safetensors").write_bytes(merged_bytes(smaller.model, smaller.plan["counts"]))
    done = invoke(
        *("a.pt", "c.safetensors", "--model", "comparenets:build", "--data", "digits"),
        *("--html", "page.html", "--json", "found.json"),
    )
    assert done.exit_code == 0, done.output
    assert "20 → 8" in done.stdout
    found = json.loads((folder / "found.json").read_text())
    assert [layer["layer"] for layer in found["layers"]] == ["1", "3"]
    assert found["layers"][0]["nc"]["a"]["low"] is not None
    assert found["a"]["made"]["data"] == "digits"
    assert "comparenets:build" in (folder / "page.html").read_text()


def test_two_runs(folder):
    for name in "ab":
        net = build_model("comparenets:build")
        with Run.open(folder / name, mode="write") as run, Tracker(net, [correlation()], run=run, every=1) as tracker:
            net(torch.randn(300, 64))
            tracker.step()
    done = invoke("a", "b")
    assert done.exit_code == 0, done.output
    assert "No layer's correlation differs clearly." in done.stdout


def test_a_factory_is_a_target_too():
    assert "a.pt → comparenets:build" in invoke("a.pt", "comparenets:build").stdout


def test_wrong_input_prints_one_line(monkeypatch, capsys, folder):
    say = lambda *arguments: complaint(monkeypatch, capsys, *arguments)  # noqa: E731
    (folder / "empty").mkdir()
    assert "empty" in say("a.pt", "empty")
    assert "holds only weights; add --model" in say("a.pt", "b.pt", "--data", "digits")
    assert "is a run" in say("empty", "a.pt", "--model", "comparenets:build")
    assert "nowhere.pt" in say("a.pt", "nowhere.pt")
    assert "--model takes weights" in say("comparenets:build", "a.pt", "--model", "comparenets:build")
    assert "does not fit" in say("a.pt", "b.pt", "--model", "torch.nn:Identity")
    assert "does not exist" in say("a.pt", "b.pt", "--html", "no/page.html")
    few = ("--model", "comparenets:build", "--data", "digits", "--max-samples", "20")
    assert "20 inputs are too few to compare by; run at least 50" in say("a.pt", "b.pt", *few)
