"""Folders of save_pretrained, whole and in shards, and the configuration beside them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cofire.nets.loading.checkpoint_files import read_checkpoint
from cofire.nets.loading.pretrained_folders import configuration_beside, has_weights

STATE = {"a.weight": torch.ones(2, 3), "b.weight": torch.zeros(3, 2), "c.bias": torch.ones(2)}


def shards(folder: Path, suffix: str, names: dict[str, str]) -> Path:
    for file in set(names.values()):
        part = {name: STATE[name] for name, place in names.items() if place == file}
        save_file(part, folder / file) if suffix == ".safetensors" else torch.save(part, folder / file)
    index = folder / ("model.safetensors.index.json" if suffix == ".safetensors" else "pytorch_model.bin.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return index


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("named", ["folder", "index"])
def test_shards_are_joined(suffix, named, tmp_path):
    index = shards(tmp_path, suffix, {"a.weight": f"1{suffix}", "b.weight": f"2{suffix}", "c.bias": f"1{suffix}"})
    found = read_checkpoint(tmp_path if named == "folder" else index)
    torch.testing.assert_close(dict(sorted(found.weights.items())), STATE)
    assert "they are in 2 shards" in found.notes and has_weights(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_with_one_file(name, tmp_path):
    assert not has_weights(tmp_path)
    save_file(STATE, tmp_path / name) if name.endswith("safetensors") else torch.save(STATE, tmp_path / name)
    torch.save({"m": torch.ones(2, 2)}, tmp_path / "optimizer.pt")
    found = read_checkpoint(tmp_path)
    torch.testing.assert_close(dict(found.weights), STATE)
    assert found.notes == (f"the weights are those in {name}",)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("{}", "it has no 'weight_map'"),
        ("[1]", "it has no 'weight_map'"),
        ("not json", "is damaged, or not JSON"),
        ("[" * 100_000, "is damaged, or not JSON"),
        ('{"weight_map": {"a": "../../etc/passwd"}}', "which is no file beside it"),
        ('{"weight_map": {"a": 3}}', "which is no file beside it"),
        ('{"weight_map": {"a": "model.safetensors.index.json"}}', "is not a known file of weights"),
        ('{"weight_map": {"z.weight": "1.safetensors"}}', "lacks z.weight"),
    ],
)
def test_a_bad_index_is_described(index, says, tmp_path):
    save_file(STATE, tmp_path / "1.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ValueError, match=says) as refused:
        read_checkpoint(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_missing_shard_is_named(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", ["not json", "[1]", "[" * 100_000])
def test_a_configuration_that_is_none_is_ignored(content, tmp_path):
    (tmp_path / "config.json").write_text(content)
    assert configuration_beside(tmp_path / "model.safetensors") == {}


def test_a_configuration_goes_with_the_weights(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"vocab_size": 7}')
    assert (
        read_checkpoint(tmp_path).config == read_checkpoint(tmp_path / "model.safetensors").config == {"vocab_size": 7}
    )


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_folder_of_an_adapter_is_read(suffix, tmp_path):
    state = {"base_model.model.q.lora_A.weight": torch.ones(2, 8), "base_model.model.q.lora_B.weight": torch.ones(8, 2)}
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    path = tmp_path / f"adapter_model.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    found = read_checkpoint(tmp_path)
    assert found.weights.keys() == state.keys()
    assert found.notes[0] == f"the weights are those in adapter_model.{suffix}"
    assert found.notes[-1] == "they are an adapter's, without the weights of the model that it adapts"
