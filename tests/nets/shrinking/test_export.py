"""What is written of a smaller network loads again, in every form; and what can't be written is told."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from cofire.nets.shrinking import Saved, Shrunk, load_shrunk, save, shrink
from cofire.nets.shrinking.forms import programs
from cofire.nets.shrinking.forms.same_outputs import agree, difference

needs_onnx = pytest.mark.skipif(not programs.onnx_is_installed(), reason="needs the extra onnx")


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(300, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def smaller(x) -> Shrunk:
    return shrink(mlp(), x, keep=0.5)


@pytest.fixture(scope="module")
def saved(smaller, x, tmp_path_factory) -> Saved:
    """The smaller network in all forms."""
    return save(smaller, tmp_path_factory.mktemp("saved") / "out", x[:8], original=mlp(), factory="nets.small:mlp")


@pytest.fixture
def no_onnx(monkeypatch) -> None:
    monkeypatch.setattr(programs, "ONNX", ("onnx_that_nobody_has",))


def files(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


class Tied(nn.Module):
    """Tokens whose table is also the last layer's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.up, self.down = nn.Embedding(20, 8), nn.Linear(8, 24), nn.Linear(24, 8)
        self.out = nn.Linear(8, 20, bias=False)
        self.out.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        return self.out(x + self.down(self.up(x).relu()))


class Branching(nn.Module):
    """Code that torch.export can't follow."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x).relu()
        return self.down(h) * (1 if float(h.detach().sum()) > -1 else 2)


def test_weights_and_plan_make_a_fresh_model_the_smaller_one(smaller, saved, x):
    same = load_shrunk(mlp(), saved.folder).eval()
    assert torch.equal(same(x), smaller.model.eval()(x))
    assert json.loads((saved.folder / "plan.json").read_text()) == json.loads(json.dumps(smaller.plan))
    (weights, *_) = saved.forms
    assert weights.files == ("model.safetensors", "plan.json")
    assert [one.name for one in saved.folder.parent.iterdir()] == ["out"]  # no partial folder
    assert {name for form in saved.forms for name in form.files} == files(saved.folder) and not saved.notes


def test_the_lines_of_python_load_what_they_say(smaller, saved, x, tmp_path, monkeypatch):
    (tmp_path / "nets").mkdir()
    source = "import torch\nfrom torch import nn\ndef mlp():\n    return nn.Sequential(nn.Linear(4, 16), "
    source += "nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))\n"
    (tmp_path / "nets/small.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    for form in saved.forms:
        names: dict = {}
        exec("\n".join(form.python), names)
        if "session" not in names:
            loaded = names["model"]
            theirs = loaded.eval()(x) if isinstance(loaded, nn.Sequential) else loaded(x)
            torch.testing.assert_close(theirs, smaller.model.eval()(x), rtol=1e-5, atol=1e-5)


def test_a_program_takes_batches_of_any_size(smaller, saved, x):
    program = torch.export.load(saved.folder / "model.pt2").module()
    for n in (2, 5, 300):
        torch.testing.assert_close(program(x[:n]), smaller.model.eval()(x[:n]), rtol=1e-5, atol=1e-5)
    assert saved.forms[1].content == "a program of torch.export, for batches of any size"


@needs_onnx
def test_a_program_in_onnx_puts_out_the_same(smaller, saved, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(saved.folder / "model.onnx")
    (given,) = session.get_inputs()
    (found,) = session.run(None, {given.name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), smaller.model.eval()(x), rtol=1e-4, atol=1e-4)
    assert saved.forms[2].files == ("model.onnx",)


def test_without_the_extra_there_is_no_onnx_and_no_complaint(smaller, x, tmp_path, no_onnx):
    saved = save(smaller, tmp_path / "out", x[:8])
    assert files(saved.folder) == {"model.safetensors", "plan.json", "model.pt2"} and not saved.notes


def test_one_example_fixes_the_size_of_the_batch(smaller, x, tmp_path, no_onnx):
    saved = save(smaller, tmp_path / "out", x[:1])
    assert saved.forms[1].content == "a program of torch.export, for batches of 1"
    torch.testing.assert_close(
        torch.export.load(tmp_path / "out/model.pt2").module()(x[:1]), smaller.model.eval()(x[:1]), rtol=1e-5, atol=1e-5
    )


def test_tied_weights_are_stored_once(tmp_path, no_onnx):
    torch.manual_seed(0)
    ids = torch.randint(0, 20, (100, 6))
    model = Tied()
    found = shrink(model, ids, keep=0.8)
    assert found.cuts
    save(found, tmp_path / "out", ids[:4], original=model)
    with safe_open(tmp_path / "out/model.safetensors", "pt") as file:
        assert set(file.keys()) == {"table.weight", "up.weight", "up.bias", "down.weight", "down.bias"}
    same = load_shrunk(Tied(), tmp_path / "out")
    assert same.out.weight is same.table.weight
    assert torch.equal(same(ids), found.model(ids))


def test_why_a_program_was_not_written(x, tmp_path):
    odd = Branching()
    saved = save(shrink(odd, x), tmp_path / "out", x[:4], original=odd)  # nothing is cut
    assert files(saved.folder) == {"model.safetensors", "plan.json"}
    (note,) = saved.notes
    assert note.startswith("model.pt2 was not written, as torch.export failed: ") and "\n" not in note


def test_a_folder_that_is_taken_stays(smaller, x, tmp_path, monkeypatch, no_onnx):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty; name a new folder"):
        save(smaller, tmp_path / "out", x[:4])
    assert files(tmp_path / "out") == {"mine.txt"}
    with pytest.raises(ValueError, match="is a file; name a new folder"):
        save(smaller, tmp_path / "out/mine.txt", x[:4])
    with pytest.raises(ValueError, match="does not exist"):
        save(smaller, tmp_path / "no/out", x[:4])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "plan.json" in files(save(smaller, "empty", x[:4]).folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ValueError, match="is the current folder"):
        save(smaller, ".", x[:4])


def test_nothing_stays_of_what_could_not_be_written(smaller, x, tmp_path, monkeypatch, no_onnx):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="no space left on device") as raised:
        save(smaller, tmp_path / "out", x[:4])
    assert str(tmp_path / "out ") in str(raised.value) and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(smaller, x, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="permission denied"):
            save(smaller, tmp_path / "out", x[:4])
    finally:
        tmp_path.chmod(0o700)


def test_a_plan_for_another_model_is_an_error_and_leaves_nothing(smaller, saved, x, tmp_path):
    other = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    with pytest.raises(ValueError, match=r"the plan is for another model: it cuts 0\.weight to"):
        load_shrunk(other, saved.folder)
    with pytest.raises(ValueError, match="the plan is for another model"):
        save(smaller, tmp_path / "out", x[:4], original=other)
    assert not list(tmp_path.iterdir())
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged, or not JSON"):
        load_shrunk(mlp(), tmp_path)


def test_outputs_agree_or_not():
    one = [torch.tensor([1.0, 2.0])]
    assert agree(one, [torch.tensor([1.0, 2.0 + 1e-6])]) and not agree(one, [torch.tensor([1.0, 2.001])])
    assert agree([torch.tensor([torch.nan, torch.inf])], [torch.tensor([torch.nan, torch.inf])])
    assert difference([torch.tensor([1.0])], [torch.tensor([torch.nan])]) == float("inf")
    half = torch.tensor([1.0], dtype=torch.bfloat16)
    assert agree([half], [half * 1.005]) and not agree([half], [half * 1.2])


transformers = pytest.importorskip("transformers", reason="needs transformers")

IDS = torch.randint(0, 100, (64, 12), generator=torch.Generator().manual_seed(0))
BATCHES = [{"input_ids": ids} for ids in IDS.split(8)]


def bert() -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config).eval()


def gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=0, eos_token_id=1
    )
    return transformers.GPT2LMHeadModel(config).eval()


def llama() -> nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=32,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def reloaded(found: Shrunk, folder: Path, original: nn.Module) -> dict:
    """Save, load with from_pretrained in the class, compare, and return the configuration in the file."""
    saved = save(found, folder, BATCHES[0], original=original)
    assert not saved.notes and saved.forms[1].content == "a folder of save_pretrained"
    assert not {"model.pt2", "model.onnx"} & files(folder)
    model = type(original).from_pretrained(folder)
    with torch.no_grad():
        mine, theirs = (net.eval()(input_ids=IDS).logits for net in (found.model, model))
    torch.testing.assert_close(theirs, mine, rtol=1e-5, atol=1e-5)
    exec("\n".join(saved.forms[1].python), {})
    return json.loads((folder / "config.json").read_text())


def test_a_smaller_bert_is_a_folder_of_from_pretrained(tmp_path):
    model = bert()
    found = shrink(model, BATCHES, keep=0.8, uniform=True, leave=["*attention*", "*pooler*"])
    config = reloaded(found, tmp_path / "out", model)
    (kept,) = {len(cut.kept) for cut in found.cuts.values()}
    assert kept < 64 and config["intermediate_size"] == kept and config["hidden_size"] == 32


def test_a_smaller_gpt2_has_a_size_that_was_none(tmp_path):
    from transformers.utils import logging

    model = gpt2()
    assert model.config.n_inner is None
    found = shrink(model, BATCHES, keep=0.8, uniform=True)
    before = torch.get_rng_state(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    config = reloaded(found, tmp_path / "out", model)
    after = torch.get_rng_state(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]  # searching and loading left them alone
    (kept,) = {len(cut.kept) for cut in found.cuts.values()}
    assert config["n_inner"] == kept < 128


def test_a_smaller_llama_has_fewer_heads_of_the_same_size(tmp_path):
    model = llama()
    layers = [f"model.layers.{layer}" for layer in (0, 1)]
    keep = {f"{one}.self_attn.q_proj[0]": 1 for one in layers} | {f"{one}.mlp.gate_proj": 40 for one in layers}
    config = reloaded(shrink(model, BATCHES, keep=keep), tmp_path / "out", model)
    wanted = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 40}
    assert {name: config[name] for name in wanted} == wanted and config["hidden_size"] == 32


def test_sizes_that_differ_between_layers_can_not_be_said(tmp_path, no_onnx):
    model = llama()
    keep = {"model.layers.0.mlp.gate_proj": 40, "model.layers.1.mlp.gate_proj": 41}
    saved = save(shrink(model, BATCHES, keep=keep), tmp_path / "out", BATCHES[0], original=model)
    assert "layers of one kind have different sizes, such as model.layers.#.mlp.gate_proj" in saved.notes[0]
    assert {"model.pt2", "plan.json"} <= files(saved.folder) and "config.json" not in files(saved.folder)
    program = torch.export.load(saved.folder / "model.pt2").module()
    assert program(input_ids=IDS[:3]).logits.shape == (3, 12, 100)


def test_heads_that_no_configuration_says_are_named(tmp_path, no_onnx):
    model = bert()
    keep = {f"bert.encoder.layer.{layer}.attention.self.query[0]": 3 for layer in (0, 1)}
    saved = save(shrink(model, BATCHES, keep=keep), tmp_path / "out", BATCHES[0], original=model)
    assert "BertConfig can't say the new sizes of bert.encoder.layer.#.attention.self.key" in saved.notes[0]
    same = load_shrunk(bert(), saved.folder)
    assert same.bert.encoder.layer[0].attention.self.query.out_features == 24
