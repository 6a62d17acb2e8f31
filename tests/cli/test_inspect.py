import importlib
import json
import math
import os
import pickle
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner, Result

from cofire.cli import app, main
from cofire.cli.gates import Gate, failures
from cofire.nets.redundancy import redundancy_report, weight_redundancy_report

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))

def batches():
    return [torch.randn(100, 64, generator=torch.Generator().manual_seed(0))]
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["inspect", *arguments])


def complaint(monkeypatch, capsys, *arguments: str) -> str:
    """Run a command that fails and return its one line on stderr."""
    monkeypatch.setattr("sys.argv", ["cofire", "inspect", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    *stages, last = said.err.splitlines()
    assert left.value.code == 2 and all(line.endswith(" …") for line in stages) and last.startswith("cofire: ")
    assert "Traceback" not in said.err and "Errno" not in said.err
    return last


@pytest.fixture
def here(tmp_path, monkeypatch) -> str:
    """Make a user's folder with a module of networks and weights for it; return the module's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"nets_{abs(hash(str(tmp_path)))}"
    Path(f"{name}.py").write_text(SOURCE)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
    with torch.no_grad():
        net[1].weight[9], net[1].bias[9] = 2 * net[1].weight[4], 2 * net[1].bias[4]
    torch.save({"epoch": 3, "model": nn.DataParallel(net).state_dict()}, "last.pt")
    save_file(net.state_dict(), "last.safetensors")
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("file", ["last.pt", "last.safetensors"])
def test_weights_alone(here, file):
    done = invoke(file, "--json", "found.json", "--html", "page.html")
    assert done.exit_code == 0, done.output
    assert "4 = 9" in done.stdout and ("found under 'model'" in done.stdout) == (file == "last.pt")
    found = json.loads(Path("found.json").read_text())
    assert found["layers"][0]["layer"] == "1" and found["layers"][0]["weights"]["duplicates"][0]["units"] == [4, 9]
    assert "Content-Security-Policy" in Path("page.html").read_text()


@pytest.mark.parametrize("data", ["digits", "loader", "folder"])
def test_a_model_on_data(here, data):
    Path("inputs").mkdir()
    np.save("inputs/x.npy", np.random.default_rng(0).standard_normal((300, 64)))
    place = {"digits": "digits", "loader": f"{here}:batches", "folder": "inputs"}[data]
    done = invoke(
        f"{here}:build", "--weights", "last.pt", "--data", place, "--json", "found.json", "--max-samples", "90"
    )
    assert done.exit_code == 0, done.output
    found = {layer["layer"]: layer for layer in json.loads(Path("found.json").read_text())["layers"]}
    assert found["1"]["n_samples"] == 90 and found["1"]["quantities"]["nc"] > 0
    assert [cluster["units"] for cluster in found["1"]["activations"]["duplicates"]] == [[4, 9]]


def test_the_command_that_is_proposed_cuts_what_was_predicted(here, monkeypatch):
    done = invoke(f"{here}:build", "--weights", "last.pt", "--data", "digits", "--json", "found.json")
    assert done.exit_code == 0, done.output
    told = json.loads(Path("found.json").read_text())["shrink"]
    assert told["layers"] == ["1"] and told["left"] == {"3": "its units are the network's outputs"}
    point = next(one for one in told["curve"] if one["share"] <= 0.7)
    words = shlex.split(told["command"])
    assert words[:2] == ["cofire", "shrink"] and told["command"] in " ".join(done.stdout.replace("\\\n", "").split())
    cut = CliRunner().invoke(app, [*words[1:], "--keep", "0.7", "--out", "smaller", "--json", "cut.json"])
    assert cut.exit_code == 0, cut.output
    result = json.loads(Path("cut.json").read_text())
    assert result["share"] == pytest.approx(point["share"], abs=0.02)
    assert result["predicted_error"] == pytest.approx(point["predicted_error"], rel=0.5)
    plain = invoke(f"{here}:build", "--data", "digits", "--no-advise", "--json", "found.json")
    assert "can cut" not in plain.stdout and json.loads(Path("found.json").read_text())["shrink"] is None


def test_layers_are_chosen_by_patterns(here):
    invoke(f"{here}:build", "--data", "digits", "--layers", "3", "--json", "found.json")
    found = {layer["layer"]: layer for layer in json.loads(Path("found.json").read_text())["layers"]}
    assert found["3"]["activations"] and not found["1"]["activations"]
    invoke(f"{here}:build", "--data", "digits", "--layers", "!1", "--json", "found.json")
    found = {layer["layer"]: layer for layer in json.loads(Path("found.json").read_text())["layers"]}
    assert {name for name, layer in found.items() if layer["activations"]} == {"3"}  # nor the ReLU's, which are 1's


def test_exceeded_limits_exit_with_one(here):
    done = invoke("last.pt", "--fail-above", "wc=0.01", "--fail-above", "copies=0.04", "--json", "found.json")
    assert done.exit_code == 1 and Path("found.json").exists()
    assert "wc is above 0.01 in 3 (0." in done.stderr and "copies is above 0.04 in 1 (0.05)" in done.stderr
    assert invoke("last.pt", "--fail-above", "wc=0.9").exit_code == 0


def test_limits_fail_on_unknown_quantities(here, monkeypatch, capsys):
    complain = partial(complaint, monkeypatch, capsys, "last.pt", "--fail-above")
    assert "unknown quantity 'nc_floor'; did you mean" in complain("nc_floor=0.4")
    assert "takes a quantity and a number, for example nc=0.4" in complain("nc")
    assert "takes a quantity and a number" in complain("nc=much")
    assert "takes a quantity and a number" in complain("nc=nan")
    assert "not measured in any layer; add --data" in complain("nc=0.4")
    assert "wc lies between 0 and 1, got the limit 4" in complain("wc=4")
    assert "nc_debiased lies between -2.1 and 1, got the limit -3" in complain("nc_debiased=-3")


def test_limits_fail_on_unknown_values_but_one_unit_has_no_pairs():
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    report = redundancy_report(net, torch.randn(100, 4))
    assert failures([Gate("nc", 1.0), Gate("constant", 1.0)], report) == []
    with torch.no_grad():
        net[0].bias.fill_(-100.0)
    with pytest.raises(ValueError, match=r"nc: unknown in layer '0'.*limits fail on unknown values"):
        failures([Gate("nc", 1.0)], redundancy_report(net, torch.randn(100, 4)))
    broken = weight_redundancy_report({"fc.weight": torch.full((3, 4), math.nan)})
    with pytest.raises(ValueError, match=r"wc: unknown in layer 'fc'"):
        failures([Gate("wc", 1.0)], broken)


def test_limits_fail_on_few_inputs():
    report = redundancy_report(nn.Conv1d(2, 3, 3), torch.randn(2, 2, 50))
    for name in ("nc_low", "copies", "superfluous"):
        with pytest.raises(ValueError, match=f"{name}: 2 inputs are too few to judge .*; run at least 50"):
            failures([Gate(name, 1.0)], report)
    assert failures([Gate("wc", 1.0)], report) == []


def test_the_worst_layers_are_named():
    report = weight_redundancy_report({f"{i}.weight": torch.ones(2, 3) for i in range(9)})
    (sentence,) = failures([Gate("wc", 0.5)], report)
    assert sentence.startswith("wc is above 0.5 in 0 (1), 1 (1)") and sentence.endswith("and 4 more layers")


def test_wrong_input_prints_one_line_and_exits_with_two(here, tmp_path, monkeypatch, capsys):
    complain = partial(complaint, monkeypatch, capsys)
    Path("empty.pt").touch()
    Path("cut.pt").write_bytes(Path("last.pt").read_bytes()[:2000])
    Path("notes.txt").write_text("hello")
    Path("folder").mkdir()
    assert "is empty" in complain("empty.pt")
    assert "is damaged" in complain("cut.pt")
    assert "no such file" in complain("nowhere.pt")
    assert "their names end in" in complain("notes.txt")
    assert "is a folder" in complain("folder")
    assert "'what' was not found; a target is a file of weights" in complain("what")
    assert "is part of Python itself" in complain("os:system")
    assert "is part of Python itself" in complain("subprocess:run")
    assert "--data needs a model" in complain("last.pt", "--data", "digits")
    assert "add --data" in complain("last.pt", "--layers", "1")
    assert "does not exist" in complain("last.pt", "--html", "no/page.html")
    assert "is a folder" in complain("last.pt", "--json", "folder")
    for device in ("warp", "meta", "cuda:x", "cuda:99", ""):
        assert f"device {device!r} is not available; choose from: cpu" in complain("last.pt", "--device", device)
    np.save("x.npy", np.ones((4, 5)))
    assert "cannot take a batch of shape (4, 5)" in complain(f"{here}:build", "--data", "x.npy")
    assert "does not fit the model; missing: 1.bias" in complain(f"{here}:build", "--weights", str(other(tmp_path)))


def other(folder: Path) -> Path:
    torch.save({"1.weight": torch.ones(20, 64)}, folder / "other.pt")
    return folder / "other.pt"


def test_code_in_a_checkpoint_never_runs(here, monkeypatch, capsys):
    class Malicious:
        def __reduce__(self) -> object:
            return os.system, ("touch touched",)

    Path("evil.pt").write_bytes(pickle.dumps(Malicious()))
    torch.save({"weight": torch.ones(2, 2), "x": Malicious()}, "evil.bin")
    assert "refused and not executed" in complaint(monkeypatch, capsys, "evil.pt")
    assert "names posix.system, which was neither imported nor called" in invoke("evil.bin").stdout
    assert not Path("touched").exists()


def test_help_has_examples():
    shown = " ".join(invoke("--help").stdout.split())
    assert "cofire inspect model.safetensors" in shown and "code in a checkpoint never runs" in shown


def test_help_imports_no_torch():
    code = "import sys, cofire.cli; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_what_was_assumed_stands_beside_each_number(tmp_path):
    state = {"shared.weight": torch.randn(40, 8), "fc.weight": torch.randn(12, 8), "fc.bias": torch.randn(12)}
    torch.save({"model": state, "other": {"w": torch.ones(2)}}, tmp_path / "net.pt")
    page, found = tmp_path / "page.html", tmp_path / "found.json"
    shown = invoke(str(tmp_path / "net.pt"), "--html", str(page), "--json", str(found)).stdout
    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert lines["Layer"][-1] == "Notes" and lines["shared"][-1] == "1" and len(lines["fc"]) == len(lines["shared"]) - 1
    note = "read as an embedding by its name: its units are the features"
    assert f"1  {note}" in shown
    assert f'<sup title="{note}">1</sup>' in page.read_text()
    notes = {layer["layer"]: layer["notes"] for layer in json.loads(found.read_text())["layers"]}
    assert notes == {"shared": [note], "fc": []}


def test_no_column_of_notes_without_any(tmp_path):
    torch.save({"fc.weight": torch.randn(12, 8), "fc.bias": torch.randn(12)}, tmp_path / "net.pt")
    assert "Notes" not in invoke(str(tmp_path / "net.pt")).stdout


def test_dead_units_are_counted_and_explained(tmp_path):
    state = {"conv1.weight": torch.randn(8, 3, 3, 3), "bn1.weight": torch.ones(8), "bn1.running_var": torch.ones(8)}
    state["conv1.weight"][2] *= 1e-7
    state["bn1.weight"][5] = 0
    torch.save(state, tmp_path / "net.pt")
    shown = invoke(str(tmp_path / "net.pt"), "--fail-above", "constant=0.2")
    assert shown.exit_code == 1
    row = next(line.split() for line in shown.stdout.splitlines() if line.startswith("conv1"))
    assert row[1:3] == ["8", "2"]
    assert "Some units are dead by their weights in conv1" in shown.stdout


def test_depthwise_filters_keep_a_gate_on_copies(tmp_path):
    weights = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 8, 1)).state_dict()
    weights["1.weight"][:] = weights["1.weight"][0]
    torch.save(weights, tmp_path / "net.pt")
    shown = invoke(str(tmp_path / "net.pt"), "--fail-above", "copies=0")
    assert shown.exit_code == 0 and "depthwise" in shown.stdout


def test_a_folder_of_save_pretrained_and_a_key(tmp_path):
    save_file({"wte.weight": torch.randn(30, 8)}, tmp_path / "model.safetensors")
    assert "Note: the weights are those in model.safetensors." in invoke(str(tmp_path)).stdout
    torch.save({name: {"weight": torch.randn(3, 8)} for name in ("a", "b")}, tmp_path / "two.pth.tar")
    assert "under 'b'" in invoke(str(tmp_path / "two.pth.tar"), "--key", "b").stdout


FAILING = """
import torch
from torch import nn

class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        if len(x) < 10:
            raise {error}("my own error")
        return self.fc(x)

def build():
    return Fails()

def model_fails():
    return [torch.randn(40, 4), torch.randn(4, 4)]

def loader_fails():
    yield torch.randn(40, 4)
    raise {error}("my own error")

def scripted():
    return nn.Sequential(nn.Linear(4, 8), torch.jit.script(nn.ReLU()), nn.Linear(8, 2))

def in_torchscript():
    return torch.jit.script(nn.Sequential(nn.Linear(4, 8)))
"""


@pytest.mark.parametrize("error", ["RuntimeError", "ValueError", "KeyError", "OSError", "ImportError", "SystemExit"])
def test_what_the_users_code_raises_is_named_with_its_place(error, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"failing_{error.lower()}"
    Path(f"{name}.py").write_text(FAILING.format(error=error))
    complain = partial(complaint, monkeypatch, capsys)
    said = complain(f"{name}:build", "--data", f"{name}:model_fails")
    assert f"the model's forward raised {error}: " in said and f"{name}.py, line 12)" in said and "; mend it" in said
    said = complain(f"{name}:build", "--data", f"{name}:loader_fails")
    assert f"the loader of the data raised {error}: " in said and f"{name}.py, line 23)" in said
    if error == "RuntimeError":
        built = importlib.import_module(name)
        with pytest.raises(RuntimeError, match=r"^my own error$"):
            redundancy_report(built.build(), built.model_fails())


@pytest.mark.filterwarnings("ignore:.*(jit|TorchScript|deprecated).*")
def test_parts_in_torchscript_are_passed_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("scripting.py").write_text(FAILING.format(error="ValueError"))
    done = invoke("scripting:scripted", "--data", "scripting:model_fails")
    assert done.exit_code == 0 and "TorchScript" in done.stdout
    for data in ([], ["--data", "scripting:model_fails"]):
        said = complaint(monkeypatch, capsys, "scripting:in_torchscript", *data)
        assert "TorchScript" in said and "in the pass that was followed" not in said


def test_an_empty_file_is_told_as_that(tmp_path, monkeypatch, capsys):
    save_file({}, tmp_path / "empty.safetensors")
    assert "empty.safetensors holds no tensors" in complaint(monkeypatch, capsys, str(tmp_path / "empty.safetensors"))
