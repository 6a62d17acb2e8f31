import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from cofire.cli import app, main
from cofire.nets.loading.factories import build_model
from cofire.nets.shrinking import accuracy, load_shrunk

SOURCE = """
import torch
from torch import nn

def inputs(n, seed):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))

def labels(x):
    return (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()

def build():
    state = torch.get_rng_state()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))
    x = inputs(500, 1)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(40):
        loss = nn.functional.cross_entropy(net(x), labels(x))
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    torch.set_rng_state(state)
    return net

def copies():
    net = build()
    with torch.no_grad():
        net[0].weight[:4], net[0].bias[:4] = 2 * net[0].weight[4:8], 2 * net[0].bias[4:8]
    return net

def talks():
    print("loading, please wait")
    return build()

def fixed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.only = nn.Linear(6, 4)
        def forward(self, x):
            return self.only(x)
    return Net()

def bert():
    from transformers import BertConfig, BertForSequenceClassification
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=16, num_labels=3))

def tokens():
    ids = torch.randint(0, 50, (120, 8), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": one} for one in ids.split(20)]

def batches():
    x = inputs(600, 2)
    return [(x[i : i + 100], labels(x[i : i + 100])) for i in range(0, 600, 100)]

def others():
    x = inputs(300, 3)
    return [(x, labels(x))]

def unlabeled():
    return [inputs(600, 2)]
"""
GOOD = ("shrinknets:build", "--data", "shrinknets:batches", "--out", "out")


@pytest.fixture(autouse=True)
def small_nets(tmp_path, monkeypatch):
    (tmp_path / "shrinknets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # torch.export and ONNX have tests of their own, and take seconds
    monkeypatch.setattr("cofire.nets.shrinking.forms.programs.ONNX", ("onnx_that_nobody_has",))
    yield
    sys.modules.pop("shrinknets", None)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["shrink", *arguments], terminal_width=100)


def complaint(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["cofire", "shrink", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and len([line for line in said.splitlines() if line.startswith("cofire: ")]) == 1
    return said


def test_the_smaller_network_is_written_with_its_costs():
    done = invoke(*GOOD, "--keep", "0.6", "--score", "accuracy", "--json", "numbers.json")
    assert done.exit_code == 0, done.output
    found = json.loads(Path("numbers.json").read_text())
    before, after = found["parameters"]["before"], found["parameters"]["after"]
    assert f"{after:,} of {before:,} parameters stay (" in done.stdout and before == 636 and after <= 0.6 * before
    model, smaller = build_model("shrinknets:build"), load_shrunk(build_model("shrinknets:build"), "out")
    assert sum(one.numel() for one in smaller.parameters()) == after
    x, labels = (torch.cat(parts) for parts in zip(*build_loaded("batches"), strict=True))
    held = x[::3], labels[::3]  # every third sample is held out
    with torch.no_grad():
        mine, theirs = model(held[0]), smaller(held[0])
    error = float((theirs - mine).square().mean().sqrt() / (mine - mine.mean(0)).square().mean().sqrt())
    assert found["measured_error"] == pytest.approx(error, rel=0.02)
    assert f"Outputs move by {100 * found['measured_error']:.3g} % of their standard deviation" in done.stdout
    scores = [accuracy(net, [held]) for net in (model, smaller)]
    assert [found["score"]["before"], found["score"]["after"]] == pytest.approx(scores)
    assert f"Score: {scores[0]:.4g} before, {scores[1]:.4g} after." in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    for group in found["groups"]:
        assert [group["name"], str(group["units"]), str(len(group["kept"]))] in [cells[:3] for cells in rows]
    assert "4: its units are the network's outputs" in done.stdout
    assert "from shrinknets import build; from cofire.nets.shrinking import load_shrunk" in done.stdout
    assert {"model.safetensors", "plan.json", "model.pt2"} == {one.name for one in Path("out").iterdir()}
    assert [form["files"] for form in found["forms"]] == [["model.safetensors", "plan.json"], ["model.pt2"]]
    assert found["folder"] == str(Path("out").resolve()) and "Wrote numbers.json." in done.stdout


def build_loaded(name: str) -> list:
    return getattr(sys.modules["shrinknets"], name)()


def test_the_command_in_the_json_gives_the_same_again():
    done = invoke(*GOOD, "--keep", "0.6", "--leave", "2", "--round-to", "4", "--json", "numbers.json")
    assert done.exit_code == 0, done.output
    first = json.loads(Path("numbers.json").read_text())
    assert first["left"]["2"] == "left as asked"
    assert all(len(group["kept"]) % 4 == 0 for group in first["groups"])
    command = shlex.split(first["command"])
    assert command[:3] == ["cofire", "shrink", "shrinknets:build"]
    command[command.index("--out") + 1] = "again"
    command[command.index("--json") + 1] = "again.json"
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    again = json.loads(Path("again.json").read_text())
    for key in ("parameters", "groups", "measured_error", "predicted_error", "curve"):
        assert again[key] == first[key]
    assert Path("again/model.safetensors").read_bytes() == Path("out/model.safetensors").read_bytes()


def test_json_on_stdout_is_alone_there():
    done = invoke("shrinknets:talks", *GOOD[1:], "--keep", "0.6", "--json", "-")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["version"] == 1
    assert "loading, please wait" in done.stderr and "parameters stay" in done.stderr and "Wrote out" in done.stderr


def test_without_keep_or_max_loss_only_what_others_explain_exactly_goes():
    done = invoke("shrinknets:copies", *GOOD[1:], "--json", "numbers.json")
    assert done.exit_code == 0, done.output
    found = json.loads(Path("numbers.json").read_text())
    assert found["groups"][0]["units"] - len(found["groups"][0]["kept"]) >= 4 and found["measured_error"] < 1e-4
    assert load_shrunk(build_model("shrinknets:copies"), "out")[0].out_features <= 20


def test_max_loss_bounds_the_error_or_the_score():
    done = invoke(*GOOD, "--max-loss", "0.1", "--json", "numbers.json")
    assert done.exit_code == 0, done.output
    found = json.loads(Path("numbers.json").read_text())
    assert found["measured_error"] <= 0.1 and "Note: on the" not in done.stdout
    done = invoke(*GOOD[:-1], "scored", "--max-loss", "0.05", "--score", "accuracy", "--json", "scored.json")
    assert done.exit_code == 0, done.output
    score = json.loads(Path("scored.json").read_text())["score"]
    told = "Note: on the" in done.stdout
    assert told == (score["before"] - score["after"] > 0.05)


def test_other_data_can_be_measured_on():
    done = invoke(*GOOD, "--keep", "0.6", "--check", "shrinknets:others", "--score", "accuracy")
    assert done.exit_code == 0, done.output
    assert "Cut and refitted on 600 samples, measured on 300 others." in done.stdout
    done = invoke(*GOOD[:-1], "few", "--keep", "0.6", "--max-samples", "300")
    assert "Cut and refitted on 200 samples, measured on 100 others." in done.stdout


def test_weights_come_from_the_file():
    model = build_model("shrinknets:build")
    with torch.no_grad():
        model[0].weight.mul_(2)
    torch.save({"ema": {**model.state_dict(), "scale": torch.ones(1)}}, "last.pt")
    options = ("--weights", "last.pt", "--key", "ema", "--allow-unexpected", "--keep", "0.6")
    done = invoke(*GOOD, *options)
    assert done.exit_code == 0, done.output
    assert "ignored, as the model has no such weights: scale" in done.stdout


def test_multiplications_instead_of_parameters():
    done = invoke(*GOOD, "--keep", "0.6", "--per", "flops")
    assert done.exit_code == 0, done.output
    assert "Multiplications: 60 % of those before." in done.stdout or "Multiplications: 59 %" in done.stdout


def test_if_nothing_can_go_nothing_is_written():
    for arguments, said in [
        (("shrinknets:fixed", *GOOD[1:], "--keep", "1"), "--keep 1 asks for the whole network."),
        (("shrinknets:fixed", *GOOD[1:], "--max-loss", "0.1"), "No layer can be cut within --max-loss 0.1, less"),
        (("shrinknets:fixed", *GOOD[1:]), "No unit that can be cut is explained exactly by others"),
    ]:
        done = invoke(*arguments, "--html", "page.html", "--json", "numbers.json")
        assert done.exit_code == 3, done.output
        assert "Nothing was removed." in done.stdout and said in " ".join(done.stdout.split())
        assert "only: its units are the network's outputs" in done.stdout
        assert {one.name for one in Path().iterdir()} <= {"shrinknets.py", "__pycache__"}
    done = invoke("shrinknets:fixed", *GOOD[1:], "--json", "-")
    assert done.exit_code == 3 and json.loads(done.stdout)["left"] == {"only": "its units are the network's outputs"}


def test_a_folder_of_transformers_is_written():
    pytest.importorskip("transformers", reason="needs transformers")
    common = ("shrinknets:bert", "--data", "shrinknets:tokens", "--keep", "0.8", "--uniform")
    done = invoke(*common, "--leave", "*attention*", "--leave", "*pooler*", "--out", "out")
    assert done.exit_code == 0, done.output
    assert "from transformers import BertForSequenceClassification" in done.stdout
    size = json.loads(Path("out/config.json").read_text())["intermediate_size"]
    assert size < 48 and done.stdout.count(f" 48    {size} ") == 2  # both layers


def test_a_page_goes_into_the_folder_too():
    done = invoke(*GOOD, "--keep", "0.6", "--html", "out/page.html")
    assert done.exit_code == 0, done.output
    page = Path("out/page.html").read_text()
    assert "cofire shrink shrinknets:build --out out --data shrinknets:batches --keep 0.6 --html out/page.html" in page
    assert "load_shrunk" in page and "Wrote out/page.html; open it in a browser." in done.stdout


def test_wrong_input_prints_one_line(monkeypatch, capsys):
    torch.save({"fc.weight": torch.ones(2, 2)}, "bare.pt")
    say = lambda *arguments: complaint(monkeypatch, capsys, *arguments)  # noqa: E731
    assert "holds only weights; give module:factory" in say("bare.pt", "--data", "digits", "--out", "out")
    assert "needs --data" in say("shrinknets:build", "--out", "out")
    assert "exclude each other" in say(*GOOD, "--keep", "0.5", "--max-loss", "0.1")
    assert "--keep takes a share such as 0.7, got 'half'" in say(*GOOD, "--keep", "half")
    assert "--max-loss takes a number such as 0.01, got '1 %'" in say(*GOOD, "--max-loss", "1 %")
    assert "keep must be a share above 0 and at most 1" in say(*GOOD, "--keep", "1.5")
    assert "max_loss must be a number above 0" in say(*GOOD, "--max-loss", "-1")
    assert "can't be reached: what can be cut leaves at least" in say(*GOOD, "--keep", "0.001")
    assert "--score knows only accuracy, got 'f1'" in say(*GOOD, "--keep", "0.5", "--score", "f1")
    assert "per must be 'parameters' or 'flops'" in say(*GOOD, "--keep", "0.5", "--per", "bits")
    assert "round_to must be a whole number above 0" in say(*GOOD, "--keep", "0.5", "--round-to", "0")
    assert "no layer of the model matches" in say(*GOOD, "--keep", "0.5", "--leave", "nothing")
    assert "the folder no does not exist" in say(*GOOD, "--json", "no/numbers.json")
    assert "does not exist" in say(*GOOD[:-1], "no/out")
    assert "shrinknets.py is a file; name a new folder" in say(*GOOD[:-1], "shrinknets.py")
    assert "is refused" in say("os:system", *GOOD[1:])
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    assert "full is not empty; name a new folder, or an empty one" in say(*GOOD[:-1], "full")
    np.save("wrong.npy", np.zeros((50, 7), np.float32))
    assert "cannot take a batch of shape" in say(*GOOD[:2], "wrong.npy", *GOOD[3:], "--keep", "0.5")
    assert not Path("out").exists()


def test_a_score_without_labels_is_an_error_before_anything_takes_time(monkeypatch, capsys):
    unlabeled = ("shrinknets:build", "--data", "shrinknets:unlabeled", "--out", "out", "--keep", "0.5")
    for arguments in ((*unlabeled, "--score", "accuracy"), (*GOOD, "--check", unlabeled[2], "--score", "accuracy")):
        said = complaint(monkeypatch, capsys, *arguments)
        assert "accuracy needs batches (inputs, labels)" in said and "Shrinking" not in said


def test_nothing_stays_if_the_disk_is_full(monkeypatch, capsys):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "out could not be written (no space left on device)" in complaint(
        monkeypatch, capsys, *GOOD, "--keep", "0.6"
    )
    assert {one.name for one in Path().iterdir()} <= {"shrinknets.py", "__pycache__"}


def test_outputs_that_are_not_finite_are_an_error(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "x.npy", np.full((50, 6), np.nan, dtype=np.float32))
    for keep in (("--keep", "0.5"), ()):
        said = complaint(monkeypatch, capsys, "shrinknets:build", "--data", "x.npy", "--out", "out", *keep)
        assert "NaN or infini" in said
    assert not Path("out").exists()
