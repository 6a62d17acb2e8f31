import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner, Result

from cofire.cli import app, main
from cofire.nets.loading.factories import build_model
from cofire.nets.surgery import load_merged
from cofire.papers.training.datasets import digits

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
    with torch.no_grad():
        net[1].weight[[3, 7]], net[1].bias[[3, 7]] = 2 * net[1].weight[[1, 2]], 2 * net[1].bias[[1, 2]]
        net[1].weight[5], net[1].bias[5] = 0, 1
    return net

def of_data():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(64, 10)
        def forward(self, x):
            return self.a(x.flatten(1)) if x.sum() > 0 else x
    return Net()

def stream():
    yield torch.randn(60, 64, generator=torch.Generator().manual_seed(0))
    yield torch.randn(60, 64, generator=torch.Generator().manual_seed(1))

def leaves():
    raise SystemExit(7)

def batches():
    x = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    return [(x, torch.arange(100) % 10)]
"""


@pytest.fixture(autouse=True)
def small_nets(tmp_path, monkeypatch):
    (tmp_path / "mergenets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("mergenets", None)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["merge", *arguments], terminal_width=100)


def complaint(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["cofire", "merge", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    return capsys.readouterr().err


def test_the_smaller_checkpoint_is_written_with_its_cost():
    done = invoke("mergenets:build", "--data", "digits", "--out", "smaller.safetensors")
    assert done.exit_code == 0, done.output
    model, smaller = build_model("mergenets:build"), load_merged(build_model("mergenets:build"), "smaller.safetensors")
    removed = 20 - smaller[1].out_features
    assert removed >= 3  # those planted; some pixels never vary, and may leave others dead
    assert f"Parameters: 1,510 before, {1510 - removed * 75:,} after" in done.stdout
    assert "<0.0001 % of their standard deviation as measured" in done.stdout
    score = next(line for line in done.stdout.splitlines() if line.startswith("Score"))
    before, after = score.removeprefix("Score: ").removesuffix(" after.").split(" before, ")
    assert before == after
    assert "3: its units are the network's outputs" in done.stdout
    assert ["1", "20", str(20 - removed)] in [line.split()[:3] for line in done.stdout.splitlines()]
    x = digits().test_x  # those that it was made with: pixels that never vary there carry weights too
    torch.testing.assert_close(smaller(x), model(x), rtol=0, atol=1e-5)


def test_weights_come_from_the_file():
    model = build_model("mergenets:build")
    with torch.no_grad():
        model[1].weight[10:], model[1].bias[10:] = model[1].weight[:10], model[1].bias[:10]
    torch.save({"state_dict": {f"module.{name}": value for name, value in model.state_dict().items()}}, "last.pt")
    common = ("mergenets:build", "--weights", "last.pt", "--data", "mergenets:batches", "--out", "x.safetensors")
    done = invoke(*common)
    assert done.exit_code == 0 and "'module' was removed from the names" in done.stdout, done.output
    with safe_open("x.safetensors", "pt") as file:
        assert file.get_slice("1.weight").get_shape()[0] <= 10


def test_weights_beside_others_and_with_more_than_the_model_has(monkeypatch, capsys):
    state = build_model("mergenets:build").state_dict()
    torch.save({"ema": {**state, "scale": torch.ones(1)}, "model": {}}, "last.pt")
    common = ("mergenets:build", "--weights", "last.pt", "--data", "mergenets:batches", "--out", "x.safetensors")
    assert "--allow-unexpected" in complaint(monkeypatch, capsys, *common, "--key", "ema")
    done = invoke(*common, "--key", "ema", "--allow-unexpected")
    assert done.exit_code == 0 and "ignored, as the model has no such weights: scale" in done.stdout, done.output


def test_the_cost_is_measured_on_other_data_if_asked():
    np.save("inputs.npy", np.random.default_rng(0).normal(size=(200, 64)))
    done = invoke(
        *("mergenets:build", "--data", "inputs.npy", "--check", "mergenets:batches", "--out", "x.safetensors")
    )
    assert done.exit_code == 0, done.output
    assert "Cut and refitted on 200 samples, measured on 100 others." in done.stdout and "Score" in done.stdout
    assert "Score" not in invoke("mergenets:build", "--data", "inputs.npy", "--out", "x.safetensors").stdout


def test_a_function_that_yields_batches_is_called_for_each_pass():
    done = invoke("mergenets:build", "--data", "mergenets:stream", "--out", "x.safetensors")
    assert done.exit_code == 0, done.output
    assert ["1", "20", "17"] in [line.split()[:3] for line in done.stdout.splitlines()] and "Note" not in done.stdout


def test_if_no_unit_was_removed_the_reason_is_given_and_nothing_written():
    good = ("mergenets:build", "--data", "mergenets:batches", "--out", "x.safetensors")
    done = invoke(*good, "--leave", "1")
    assert (done.exit_code, "1: left as asked" in done.stdout) == (3, True), done.output
    assert not Path("x.safetensors").exists() and "Wrote" not in done.stdout
    np.save("few.npy", np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32))
    few = " ".join(invoke("mergenets:build", "--data", "few.npy", "--out", "x.safetensors").stdout.split())
    assert "Note: only 3 inputs were run" in few and "chance makes units look like copies" in few


def test_a_model_that_cannot_be_cut_is_kept_with_the_reason():
    done = invoke("mergenets:of_data", "--data", "mergenets:batches", "--out", "x.safetensors")
    assert done.exit_code == 3, done.output
    assert "Nothing was removed" in done.stdout
    assert "the example itself was run" in done.stdout  # its way depends on the values


def test_wrong_input_prints_one_line(monkeypatch, capsys):
    torch.save({"fc.weight": torch.ones(2, 2)}, "bare.pt")
    say = lambda *arguments: complaint(monkeypatch, capsys, *arguments)  # noqa: E731
    good = ("mergenets:build", "--data", "mergenets:batches", "--out", "x.safetensors")
    assert "holds only weights; give module:factory" in say("bare.pt", "--data", "digits", "--out", "x.safetensors")
    assert "needs --data" in say("mergenets:build", "--out", "x.safetensors")
    assert "must end in .safetensors" in say("mergenets:build", "--data", "digits", "--out", "x.pt")
    assert "does not exist" in say("mergenets:build", "--data", "digits", "--out", "no/x.safetensors")
    np.save("wrong.npy", np.zeros((5, 7), np.float32))
    assert "cannot take a batch of shape (1, 7), float32: mat1" in say(*good, "--check", "wrong.npy")
    assert "cannot take a batch of shape (1, 7)" in say(*good[:1], "--data", "wrong.npy", *good[3:])
    assert "'mergenets:leaves' failed: SystemExit: 7" in say("mergenets:leaves", *good[1:])
    assert "name the file to write, for example smaller.safetensors" in say(*good[:4], ".")
    assert "no layer of the model matches" in say(*good, "--leave", "nothing")
    assert "is refused" in say("os:system", "--data", "digits", "--out", "x.safetensors")
    assert not Path("x.safetensors").exists()


def test_an_old_file_stays_if_the_new_one_cannot_be_written(monkeypatch, capsys):
    Path("x.safetensors").write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "no space left" in complaint(
        monkeypatch, capsys, "mergenets:build", "--data", "mergenets:batches", "--out", "x.safetensors"
    )
    assert Path("x.safetensors").read_text() == "old"


def test_outputs_that_are_not_finite_are_an_error(tmp_path, monkeypatch, capsys) -> None:
    np.save(tmp_path / "x.npy", np.full((10, 64), np.nan, dtype=np.float32))
    said = complaint(monkeypatch, capsys, "mergenets:build", "--data", str(tmp_path), "--out", "small.safetensors")
    assert "NaN or infinity" in said and not (tmp_path / "small.safetensors").exists()
