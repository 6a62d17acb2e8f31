"""Each kind of target and data runs through the command line, and gives the numbers of the Python call on tensors.

The tensors are made here by other means than cofire's: by Pillow, by the library's own processor, by hand.
"""

import csv
import importlib.util
import json
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from cofire.cli import app
from cofire.nets.redundancy import redundancy_report
from cofire.nets.redundancy.to_json import as_plain

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))

def batches():
    return [torch.randn(30, 48, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]

def tensor():
    return torch.cat(batches())
"""
N = 60


def run(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [command, *arguments])


def inspected(target: str, data: str, *options: str) -> dict:
    """What ``cofire inspect`` writes to stdout, which is JSON alone."""
    done = run("inspect", target, "--data", data, "--json", "-", *options)
    assert done.exit_code == 0, done.stderr or done.exception
    return json.loads(done.stdout)


def check(found: dict, model: nn.Module, batches: object) -> None:
    """Compare with the Python call."""
    wanted = {one["layer"]: one for one in as_plain(redundancy_report(model.eval(), batches))["layers"]}
    measured = {one["layer"]: one for one in found["layers"]}
    assert list(measured) and measured.keys() == wanted.keys()
    for name, layer in wanted.items():
        assert measured[name]["n_samples"] == layer["n_samples"], name
        for quantity, value in layer["quantities"].items():
            close = value if value is None else pytest.approx(value, rel=1e-5, abs=1e-9)
            assert measured[name]["quantities"][quantity] == close, name


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("kindnets.py").write_text(SOURCE)
    yield tmp_path
    sys.modules.pop("kindnets", None)


@pytest.fixture
def own() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))


def numbers(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 48)).astype(np.float32)


def save_arrays(kind: str, x: np.ndarray) -> str:
    """Save inputs in one of the ways in which people have them, and return the name."""
    y, t = np.arange(len(x)) % 3, torch.from_numpy(x)
    writers = {
        "npy": lambda: np.save("x.npy", x),
        "folder": lambda: (Path("folder").mkdir(), np.save("folder/a.npy", x[:40]), np.save("folder/b.npy", x[40:])),
        "one.npz": lambda: np.savez("one.npz", anything=x),
        "pair.npz": lambda: np.savez("pair.npz", x=x, y=y),
        "keras.npz": lambda: np.savez("keras.npz", x_train=x[:9], y_train=y[:9], x_test=x, y_test=y),
        "named.npz": lambda: np.savez("named.npz", input=x),
        "x.pt": lambda: torch.save(t, "x.pt"),
        "pair.pt": lambda: torch.save((t, torch.from_numpy(y)), "pair.pt"),
        "list.pt": lambda: torch.save([t[:40], t[40:]], "list.pt"),
        "named.pt": lambda: torch.save({"input": t.double()}, "named.pt"),
    }
    writers[kind]()
    return "x.npy" if kind == "npy" else kind


@pytest.mark.parametrize(
    "kind", ["npy", "folder", "one.npz", "pair.npz", "keras.npz", "named.npz", "x.pt", "pair.pt", "list.pt", "named.pt"]
)
def test_arrays_and_tensors(kind, own):
    x = numbers()
    found = inspected("kindnets:build", save_arrays(kind, x))
    check(found, own, torch.from_numpy(x))
    assert found["data"] == {"given": found["data"]["given"], "kind": "arrays", "max_samples": 5000, "dtype": None}


@pytest.mark.parametrize("loader", ["batches", "tensor"])
def test_loaders(loader, own):
    found = inspected("kindnets:build", f"kindnets:{loader}")
    check(found, own, torch.cat([torch.randn(30, 48, generator=torch.Generator().manual_seed(s)) for s in (0, 1)]))
    assert found["data"]["kind"] == "loader"


def make_images(folder: Path, *, size: tuple[int, int] = (4, 4), classes: int = 0, n: int = N) -> list[Path]:
    image = pytest.importorskip("PIL.Image", reason="needs pillow")
    draw, paths = np.random.default_rng(1), []
    for index in range(n):
        path = folder / (f"c{index * classes // n}" if classes else "") / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(draw.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def as_tensor(path: Path) -> Tensor:
    from PIL import Image

    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255


def test_images_of_a_model_without_a_library_are_not_changed(own, here):
    paths = make_images(here / "images")
    found = inspected("kindnets:build", "images")
    check(found, own, torch.stack([as_tensor(path) for path in paths]))
    assert found["notes"] == ["60 images, as they are: channels from 0 to 1, not resized"]
    make_images(here / "images" / "others", size=(5, 4), n=1)
    said = run("inspect", "kindnets:build", "--data", "images")
    assert isinstance(said.exception, ValueError) and "several sizes, such as 4x4 and 5x4" in str(said.exception)


def test_of_more_images_than_wanted_evenly_spaced_ones_are_taken(own, here):
    paths = make_images(here / "images", classes=3)
    found = inspected("kindnets:build", "images", "--max-samples", "52", "--batch-size", "7")
    chosen = [paths[index * 59 // 51] for index in range(52)]
    check(found, own, torch.stack([as_tensor(path) for path in chosen]))
    assert found["notes"] == ["52 of 60 images, evenly spaced, as they are: channels from 0 to 1, not resized"]


def test_folders_of_classes_give_labels(own, here):
    make_images(here / "images", classes=3, n=150)
    done = run(
        "shrink", "kindnets:build", *("--data", "images", "--keep", "0.7", "--score", "accuracy"),
        *("--out", "smaller", "--json", "-", "--quiet"),
    )  # fmt: skip
    assert done.exit_code == 0 and done.stderr == "", done.exception
    found = json.loads(done.stdout)
    assert found["schema"] == "cofire.shrink" and found["version"] == 1 and 0 <= found["score"]["before"] <= 1


@pytest.fixture
def vit(here) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    pytest.importorskip("PIL", reason="needs pillow")
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.ViTConfig(**sizes, image_size=16, patch_size=8, num_labels=3)
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained("vit")
    transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained("vit")
    return model


def test_images_of_a_folder_of_transformers(vit, here):
    from PIL import Image
    from transformers import AutoImageProcessor

    paths = make_images(here / "images", size=(20, 18), n=52)
    processor = AutoImageProcessor.from_pretrained("vit")
    batch = processor([Image.open(path) for path in paths], return_tensors="pt")
    found = inspected("vit", "images")
    check(found, vit, batch["pixel_values"])
    assert found["notes"] == ["52 images, prepared by the preprocessing of vit"]


def test_a_task_chooses_the_head_and_what_is_random_is_said(vit, here):
    make_images(here / "images", size=(20, 18), n=52)
    found = inspected("vit", "images", "--task", "image-feature-extraction")
    assert {one["layer"] for one in found["layers"]} >= {"layers.0.mlp.fc1", "pooler.dense"}
    assert "these weights are not in the files and are random: pooler.dense.bias" in found["notes"][0]
    done = run("inspect", "vit", "--task", "fill-mask")
    assert isinstance(done.exception, ValueError) and "is not for models of type vit" in str(done.exception)
    done = run("inspect", "vit", "--task", "guessing")
    assert isinstance(done.exception, ValueError) and "choose from" in str(done.exception)


WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "dogs", "run"]


def sentences(n: int = N) -> list[str]:
    draw = np.random.default_rng(2)
    return [" ".join(draw.choice(WORDS, size=draw.integers(3, 9))) for _ in range(n)]


def save_tokenizer(folder: str, **special: str) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<unk>", "<pad>", "<end>", *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", **special).save_pretrained(folder)


@pytest.fixture
def bert() -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    model = transformers.BertModel(transformers.BertConfig(**sizes, vocab_size=20, max_position_embeddings=32)).eval()
    model.save_pretrained("bert")
    save_tokenizer("bert", pad_token="<pad>")
    return model


def tokenized(texts: list[str], size: int = 32) -> list[dict[str, Tensor]]:
    """By hand: words as their numbers, padded with 1."""
    batches = []
    for start in range(0, len(texts), size):
        ids = [[3 + WORDS.index(word) for word in text.split()] for text in texts[start : start + size]]
        longest = max(map(len, ids))
        padded = torch.tensor([one + [1] * (longest - len(one)) for one in ids])
        mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids])
        batches.append({"input_ids": padded, "attention_mask": mask})
    return batches


def save_texts(kind: str, texts: list[str]) -> str:
    name = f"texts.{kind}"
    if kind == "txt":
        Path(name).write_text("\n\n".join(texts))
    elif kind == "jsonl":
        Path(name).write_text("\n".join(json.dumps({"id": str(i), "text": one}) for i, one in enumerate(texts)))
    elif kind == "csv":
        with Path(name).open("w", newline="") as file:
            csv.writer(file).writerows([("label", "review"), *((i % 2, one) for i, one in enumerate(texts))])
    elif kind == "folder":
        Path(name).mkdir()
        Path(name, "a.txt").write_text("\n".join(texts[:32]))
        Path(name, "b.txt").write_text("\n".join(texts[32:]))
    else:
        arrow = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
        import pyarrow

        arrow.write_table(pyarrow.table({"sentence": texts, "other": texts[::-1]}), name)
    return name


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "parquet", "folder"])
def test_texts(kind, bert):
    texts = sentences()
    found = inspected("bert", save_texts(kind, texts))
    check(found, bert, tokenized(texts))
    n_tokens = sum(len(text.split()) for text in texts)
    assert {one["n_samples"] for one in found["layers"] if "encoder" in one["layer"]} == {n_tokens}  # no padding
    assert found["notes"] == ["60 texts, tokenized by the preprocessing of bert"]


def test_a_column_is_chosen_by_name(bert):
    Path("t.csv").write_text("a,b\n" + "\n".join(f"{one},mat" for one in sentences()))
    check(inspected("bert", "t.csv", "--column", "a"), bert, tokenized(sentences()))
    for options, wanted in (([], "several columns (a, b)"), (["--column", "c"], "has no column 'c'")):
        done = run("inspect", "bert", "--data", "t.csv", *options)
        assert isinstance(done.exception, ValueError) and wanted in str(done.exception)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_texts_of_models_without_a_token_for_padding_and_with_a_decoder(kind):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    if kind == "gpt2":
        config = transformers.GPT2Config(n_embd=12, n_layer=1, n_head=2, vocab_size=20, n_positions=32)
        model = transformers.GPT2LMHeadModel(config).eval()
        save_tokenizer("lm", eos_token="<end>")
    else:
        config = transformers.T5Config(d_model=12, d_ff=24, d_kv=6, num_layers=1, num_heads=2, vocab_size=20)
        config.decoder_start_token_id = 0
        model = transformers.T5ForConditionalGeneration(config).eval()
        save_tokenizer("lm", pad_token="<pad>", eos_token="<end>")
    model.save_pretrained("lm")
    batches = tokenized(sentences())
    for batch in batches:
        ids = batch["input_ids"]
        if kind == "gpt2":
            batch["input_ids"] = torch.where(batch["attention_mask"].bool(), ids, 2)
        else:
            batch["decoder_input_ids"] = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], 1)
    check(inspected("lm", save_texts("txt", sentences())), model, batches)


def save_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> None:
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def waves(here) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    sounds = [draw.integers(-(2**15), 2**15, 48, dtype=np.int16) for _ in range(N)]
    for index, sound in enumerate(sounds):
        save_wav(here / "sounds" / f"{index:03}.wav", sound)
    return sounds


def test_sounds_of_a_model_without_a_library(waves, own):
    check(inspected("kindnets:build", "sounds"), own, torch.from_numpy(np.stack(waves) / np.float32(2**15)))


def test_sounds_in_stereo_and_at_another_rate(own, here):
    from cofire.nets.loading.inputs.sounds import at_rate, read_wav

    stereo = np.random.default_rng(4).integers(-(2**15), 2**15, (400, 2), dtype=np.int16)
    save_wav(here / "s" / "a.wav", stereo, rate=8000)
    samples, rate = read_wav(here / "s" / "a.wav")
    np.testing.assert_allclose(samples, stereo.mean(1) / 2**15, rtol=1e-6)
    assert rate == 8000 and at_rate((samples, rate), None) is samples
    time = np.arange(8000) / 8000
    faster = at_rate((np.sin(2 * np.pi * 440 * time).astype(np.float32), 8000), 16000)
    assert len(faster) == 16000
    wanted = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(faster[500:-500], wanted[500:-500], atol=2e-3)


def test_sounds_of_a_folder_of_transformers(here):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    convolutions = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2}
    config = transformers.Wav2Vec2Config(
        **sizes, **convolutions, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2
    )
    model = transformers.Wav2Vec2Model(config).eval()
    model.save_pretrained("w2v")
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False)
    extractor.save_pretrained("w2v")
    draw = np.random.default_rng(5)
    sounds = [draw.integers(-(2**15), 2**15, 400, dtype=np.int16) for _ in range(52)]
    for index, sound in enumerate(sounds):
        save_wav(here / "sounds" / f"{index:03}.wav", sound)
    batch = extractor([sound / np.float32(2**15) for sound in sounds], sampling_rate=16000, return_tensors="pt")
    check(inspected("w2v", "sounds"), model, [dict(batch)])


def test_random_inputs_are_said_to_be_random_everywhere(own):
    found = inspected("kindnets:build", "random:3,4,4", "--max-samples", "60", "--html", "page.html")
    check(found, own, torch.randn(60, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert found["data"]["kind"] == "random" and "random numbers, not data" in found["notes"][0]
    assert Path("page.html").read_text().count("on random inputs") >= 2
    shown = run("inspect", "kindnets:build", "--data", "random:3,4,4", "--max-samples", "60").stdout
    assert shown.startswith("Note: the inputs are random numbers, not data")
    shown = run("compare", *["kindnets:build"] * 2, "--data", "random:48", "--max-samples", "60").stdout
    assert "kindnets:build (on random inputs)" in shown and "random numbers, not data" in shown
    out = ("--keep", "0.7", "--out", "smaller", "--html", "smaller.html", "--max-samples", "90")
    assert "random numbers, not data" in run("shrink", "kindnets:build", "--data", "random:48", *out).stdout
    assert "on random inputs" in Path("smaller.html").read_text()


def test_random_inputs_need_a_shape(vit):
    done = run("inspect", "kindnets:build", "--data", "random")
    assert isinstance(done.exception, ValueError) and "for example random:3,224,224" in str(done.exception)
    done = run("inspect", "kindnets:build", "--data", "random:0,x")
    assert isinstance(done.exception, ValueError) and "takes the shape of one input" in str(done.exception)
    found = inspected("vit", "random", "--max-samples", "52")
    check(found, vit, torch.randn(52, 3, 16, 16, generator=torch.Generator().manual_seed(0)))


def test_random_tokens(bert):
    found = inspected("bert", "random", "--max-samples", "52", "--batch-size", "52")
    ids = torch.randint(0, 20, (52, 32), generator=torch.Generator().manual_seed(0))
    check(found, bert, [{"input_ids": ids, "attention_mask": torch.ones_like(ids)}])


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_the_precision_is_that_of_the_model_and_its_inputs(dtype, own):
    x = numbers()
    np.save("x.npy", x)
    found = inspected("kindnets:build", "x.npy", "--dtype", dtype)
    kind = getattr(torch, dtype)
    check(found, own.to(kind), torch.from_numpy(x).to(kind))
    assert found["data"]["dtype"] == dtype


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_inputs_are_read_in_the_precision_of_the_weights(dtype, own):
    with Path("kindnets.py").open("a") as file:
        file.write(f"\ndef other():\n    return build().to(torch.{dtype})\n")
    sys.modules.pop("kindnets", None)
    x = numbers()
    np.save("x.npy", x)
    kind = getattr(torch, dtype)
    check(inspected("kindnets:other", "x.npy"), own.to(kind), torch.from_numpy(x).to(kind))


def test_several_inputs_in_a_tuple_are_refused_with_what_to_do(own):
    with Path("kindnets.py").open("a") as file:
        file.write(
            "\nclass Two(nn.Linear):\n    def forward(self, x, y):\n        return super().forward(x + y)\n"
            "def two():\n    return Two(48, 3)\n"
            "def pairs():\n    return [((batch, batch), batch) for batch in batches()]\n"
        )
    sys.modules.pop("kindnets", None)
    done = run("inspect", "kindnets:two", "--data", "kindnets:pairs")
    assert isinstance(done.exception, ValueError)
    assert "give several as a dict, by the names of the arguments" in str(done.exception)


def test_data_sets_of_datasets(own, bert, here):
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    texts = sentences()
    whole = datasets.Dataset.from_dict({"sentence": texts, "label": [0] * N})
    datasets.DatasetDict({"train": whole.select(range(9)), "test": whole}).save_to_disk("saved")
    found = inspected("bert", "saved")
    check(found, bert, tokenized(texts))
    assert found["notes"] == ["60 rows of the split test, column sentence"]
    done = run("inspect", "bert", "--data", "datasets:saved:dev")
    assert isinstance(done.exception, ValueError) and "has no split 'dev'; it has train, test" in str(done.exception)
    x = numbers()
    datasets.Dataset.from_dict({"pixels": x.tolist(), "label": [0] * N}).save_to_disk("numbers")
    check(inspected("kindnets:build", "datasets:numbers"), own, torch.from_numpy(x))
    paths = make_images(here / "images")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [str(path) for path in paths], "label": [0] * N}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk("pictures")
    check(inspected("kindnets:build", "pictures"), own, torch.stack([as_tensor(path) for path in paths]))


def has_torchvision() -> bool:
    return importlib.util.find_spec("torchvision") is not None


@pytest.mark.skipif(not has_torchvision(), reason="needs torchvision")
def test_a_model_of_torchvision(here):
    from PIL import Image
    from torchvision import models

    torch.manual_seed(0)
    model = models.get_model("squeezenet1_1")
    torch.save(model.state_dict(), "net.pt")
    paths = make_images(here / "images", size=(20, 18), n=52)
    transform = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    found = inspected("torchvision:squeezenet1_1", "images", "--weights", "net.pt")
    check(found, model, [torch.stack([transform(Image.open(path)) for path in paths])])
    done = run("inspect", "torchvision:squeezenet9")
    assert isinstance(done.exception, ValueError) and "did you mean 'squeezenet1_" in str(done.exception)
    done = run("inspect", "torchvision:squeezenet1_1.V7")
    assert isinstance(done.exception, ValueError) and "it has IMAGENET1K_V1" in str(done.exception)


@pytest.mark.skipif(not has_torchvision(), reason="needs torchvision, which timm's transforms use")
def test_a_model_of_timm(here):
    timm = pytest.importorskip("timm", reason="needs timm")
    from PIL import Image

    torch.manual_seed(0)
    model = timm.create_model("test_byobnet")
    torch.save(model.state_dict(), "net.pt")
    paths = make_images(here / "images", size=(20, 18), n=52)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    found = inspected("timm:test_byobnet", "images", "--weights", "net.pt")
    check(found, model, [torch.stack([transform(Image.open(path)) for path in paths])])
    done = run("inspect", "timm:test_byobnetz")
    assert isinstance(done.exception, ValueError) and "did you mean 'test_byobnet" in str(done.exception)


def test_compare_takes_the_same(bert, vit):
    Path("t.txt").write_text("\n".join(sentences()))
    done = run("compare", "bert", "bert", "--data", "t.txt", "--json", "-")
    found = json.loads(done.stdout)
    assert done.exit_code == 0 and found["schema"] == "cofire.compare" and found["version"] == 1
    assert found["layers"] and {layer["nc"]["difference"]["value"] for layer in found["layers"]} <= {0, None}
    done = run("compare", "bert", "vit", "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "")  # no layer in common


def test_the_lines_that_load_a_smaller_network_of_transformers_name_its_folder(bert):
    Path("t.txt").write_text("\n".join(sentences(150)))
    out = ("--data", "t.txt", "--keep", "0.8")
    done = run("shrink", "bert", *out, "--out", "smaller")
    assert done.exit_code == 0, done.exception
    assert "load_shrunk(BertModel.from_pretrained('bert'), " in done.stdout


def test_the_folder_of_a_smaller_network_is_a_file_of_weights(here, own):
    np.save("x.npy", numbers(300))
    run("shrink", "kindnets:build", "--data", "x.npy", "--keep", "0.7", "--out", "smaller")
    found = inspected("kindnets:build", "x.npy", "--weights", "smaller")
    assert {one["layer"]: one["n_units"] for one in found["layers"]}["1"] < 8
    done = run("compare", "kindnets:build", "kindnets:build", "--data", "x.npy", "--model", "kindnets:build")
    assert isinstance(done.exception, ValueError)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"a.npy": b"", "b.png": b"", "c.wav": b""}, "holds 1 images and 1 sounds and 1 arrays; keep one kind"),
        ({"a.xyz": b""}, "is a folder without data; --data takes a file or folder of images"),
        ({"a.png": b"no image"}, "a.png is damaged, or no image that Pillow reads"),
        ({"a.wav": b"no sound"}, "a.wav is damaged, or no WAV file"),
    ],
)
def test_folders_that_hold_something_else(content, wanted):
    pytest.importorskip("PIL", reason="needs pillow")
    Path("folder").mkdir()
    for name, held in content.items():
        Path("folder", name).write_bytes(held)
    done = run("inspect", "kindnets:build", "--data", "folder")
    assert isinstance(done.exception, ValueError) and wanted in str(done.exception)


@pytest.mark.parametrize(
    ("name", "held", "wanted"),
    [
        ("a.xyz", b"", "a.xyz is no kind of data that is known; --data takes"),
        ("a.npz", b"no zip", "a.npz is damaged, or not .npz"),
        ("a.pt", b"no zip", "a.pt is damaged, or holds other things than tensors"),
        ("a.txt", b"\xff\xfe\x00", "a.txt is damaged, or not .txt in UTF-8"),
        ("b.txt", b" \n\n", "b.txt holds no text"),
        ("a.jsonl", b'{"text": 1', "a.jsonl, line 1, is not JSON"),
        ("b.jsonl", b"7", "b.jsonl, line 1, must be an object or a string, got int"),
        ("a.csv", b"x,y\n1,2\n", "a.csv has no column that the model could take"),
        ("a.parquet", b"no table", "a.parquet is damaged, or not a parquet file"),
        ("c.txt", b"the cat\n", "text needs the model's tokenizer, and this model has none"),
    ],
)
def test_files_that_hold_something_else(name, held, wanted):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    Path(name).write_bytes(held)
    done = run("inspect", "kindnets:build", "--data", name)
    assert isinstance(done.exception, ValueError) and wanted in str(done.exception), done.exception


@pytest.mark.parametrize("bad", [{"x": torch.zeros(3), "n": 7}, (torch.zeros(3), torch.zeros(4)), [], torch.tensor(1)])
def test_tensors_that_are_no_inputs(bad):
    torch.save(bad, "bad.pt")
    done = run("inspect", "kindnets:build", "--data", "bad.pt")
    assert isinstance(done.exception, ValueError) and "bad.pt" in str(done.exception)


def test_options_that_say_nothing_are_refused():
    np.save("x.npy", numbers())
    for options, wanted in (
        (["--data", "x.npy", "--column", "a"], "chooses a column of a table"),
        (["--data", "kindnets:batches", "--batch-size", "4"], "does not change the batches"),
        (["--dtype", "float16"], "--dtype is about a run on data"),
        (["--batch-size", "4"], "--batch-size is about a run on data"),
        (["--task", "fill-mask"], "--task builds a model of transformers"),
    ):
        done = run("inspect", "kindnets:build", *options)
        assert isinstance(done.exception, ValueError) and wanted in str(done.exception)
