import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cofire.nets.layer_names import unwrap
from cofire.nets.layers.wrappers import without_wrappers
from cofire.nets.loading.checkpoint_files import load_weights, read_checkpoint


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def save(state: object, path: Path, **options: object) -> Path:
    torch.save(state, path, **options)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors"])
def test_what_was_written_is_read(suffix, model, tmp_path):
    path = tmp_path / f"model{suffix}"
    save_file(model.state_dict(), path) if suffix == ".safetensors" else save(model.state_dict(), path)
    found = read_checkpoint(path)
    assert found.notes == ()
    torch.testing.assert_close(dict(found.weights), dict(model.state_dict()))


def test_a_file_from_before_archives_is_read_too(model, tmp_path):
    path = save(model.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert list(read_checkpoint(path).weights) == list(model.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_as_it_is(dtype, tmp_path):
    path = save({"weight": torch.ones(2, 2, dtype=dtype)}, tmp_path / "half.pt")
    assert read_checkpoint(path).weights["weight"].dtype is dtype


def test_weights_beside_an_optimizer_are_found_and_said_to_be(tmp_path):
    state = {"fc.weight": torch.ones(2, 2)}
    content = {
        "step": torch.tensor(3),
        "optimizer": {"state": {0: {"m": torch.ones(2)}}},
        "model": {"state_dict": state},
    }
    found = read_checkpoint(save(content, tmp_path / "training.pt"))
    assert list(found.weights) == ["fc.weight"]
    assert found.notes == ("the weights were found under 'model.state_dict'",)


def test_several_models_in_one_file_are_not_guessed_from(tmp_path):
    content = {name: {"weight": torch.ones(2, 2)} for name in ("generator", "critic")}
    with pytest.raises(ValueError, match="several in it, 'generator', 'critic'; choose one with key='generator'"):
        read_checkpoint(save(content, tmp_path / "gan.pt"))
    chosen = read_checkpoint(tmp_path / "gan.pt", key="critic")
    assert chosen.notes == ("the weights were found under 'critic'",)


def test_a_key_may_have_dots_and_lead_deeper(tmp_path):
    content = {"a.b": {"c": {"state_dict": {"weight": torch.ones(2, 2)}}, "d": {"weight": torch.zeros(2, 2)}}}
    path = save(content, tmp_path / "deep.pt")
    assert read_checkpoint(path, key="a.b.c").weights["weight"].eq(1).all()
    with pytest.raises(ValueError, match=r"has no 'a\.b\.x': there is no 'x' among 'c', 'd'"):
        read_checkpoint(path, key="a.b.x")
    save_file({"weight": torch.ones(2, 2)}, tmp_path / "flat.safetensors")
    with pytest.raises(ValueError, match="holds one state dict"):
        read_checkpoint(tmp_path / "flat.safetensors", key="a")


def test_an_optimizer_is_told_from_the_model_by_its_key(tmp_path):
    content = {"my_net": {"weight": torch.ones(2, 2)}, "optimizer_state": {"m": torch.ones(2)}, "scheduler": {"a": 1}}
    assert read_checkpoint(save(content, tmp_path / "own.pth.tar")).notes == ("the weights were found under 'my_net'",)


def test_what_is_no_tensor_is_left_out_and_listed(tmp_path):
    found = read_checkpoint(save({"weight": torch.ones(2, 2), "act._extra_state": None}, tmp_path / "extra.pt"))
    assert list(found.weights) == ["weight"] and "act._extra_state" in found.notes[0]


class Malicious:
    """Unpickled without care, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("container", ["pickle", "archive", "legacy", "nested", "nested legacy", "named safetensors"])
def test_a_payload_never_runs(container, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    touched, path = tmp_path / "touched", tmp_path / "payload.pt"
    payload = Malicious(touched)
    if container in ("pickle", "named safetensors"):
        path = path.with_suffix(".safetensors") if "named" in container else path
        path.write_bytes(pickle.dumps(payload))
    else:
        content = {"state_dict": {"weight": torch.ones(2, 2), "x": payload}} if "nested" in container else payload
        save(content, path, _use_new_zipfile_serialization="legacy" not in container)
    if "nested" in container:
        found = read_checkpoint(path)
        assert list(found.weights) == ["weight"]
        assert "the file names posix.system, which was neither imported nor called" in found.notes
    else:
        with pytest.raises(ValueError, match=str(path)) as refused:
            read_checkpoint(path)
        assert "\n" not in str(refused.value)
    assert not touched.exists()
    # the payload is a real one
    pickle.loads(pickle.dumps(payload))
    assert touched.exists()


def test_a_whole_pickled_model_is_refused_with_the_remedy(model, tmp_path):
    says = r"an object of torch.nn.modules.container.Sequential, which was not built; save model.state_dict\(\)"
    with pytest.raises(ValueError, match=says):
        read_checkpoint(save(model, tmp_path / "whole.pt"))


def test_a_torchscript_archive_is_named_as_such(tmp_path):
    path = tmp_path / "scripted.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scripted/constants.pkl", pickle.dumps(()))
        archive.writestr("scripted/data.pkl", pickle.dumps(()))
        archive.writestr("scripted/version", "3")
        archive.writestr("scripted/byteorder", "little")
        archive.writestr("scripted/code/__torch__.py", "")
    with pytest.raises(ValueError, match="is a TorchScript archive; save the state_dict"):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_said_to_be_damaged(suffix, kept, tmp_path):
    path = tmp_path / f"cut{suffix}"
    state = {"weight": torch.randn(50, 50)}
    save_file(state, path) if suffix == ".safetensors" else save(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match=r"is empty|is damaged") as refused:
        read_checkpoint(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (torch.ones(3), "it is a Tensor"),
        ([torch.ones(3)], "it is a list"),
        ({}, "it has none"),
        ({"epoch": 3}, "no tensors under its keys 'epoch'"),
        ({0: torch.ones(3)}, "no tensors under its keys 0"),
    ],
)
def test_what_is_no_state_dict_is_described(content, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        read_checkpoint(save(content, tmp_path / "other.pt"))


def test_places_that_are_no_files_of_weights(tmp_path):
    (tmp_path / "model.pt").mkdir()
    (tmp_path / "notes.txt").write_text("weights")
    with pytest.raises(ValueError, match=r"is a folder without model\.safetensors"):
        read_checkpoint(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"their names end in \.safetensors, \.pt"):
        read_checkpoint(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "nowhere.pt")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("module.0.weight", "0.weight"),
        ("module.module.0.weight", "0.weight"),
        ("_orig_mod.module.0.weight", "0.weight"),
        ("module._orig_mod.0.weight", "0.weight"),
        ("_fsdp_wrapped_module.0._fsdp_wrapped_module.weight", "0.weight"),
        ("0._checkpoint_wrapped_module.weight", "0.weight"),
        ("features.module.0.weight", "features.0.weight"),
        ("module", "module"),
    ],
)
def test_prefixes_of_wrappers_go(name, short):
    assert without_wrappers({name: 1})[0] == {short: 1}


def test_a_layer_that_is_called_module_keeps_its_name_beside_others():
    names = ["module.weight", "head.weight", "head.module.weight", "head.module.bias"]
    assert list(without_wrappers(dict.fromkeys(names))[0]) == names


def test_names_that_fall_together_are_an_error():
    with pytest.raises(ValueError, match=r"two weights are both named 'fc\.weight'"):
        without_wrappers({"_orig_mod.fc.weight": 1, "fc.weight": 2})


WRAPPERS = {
    "bare": lambda model: model,
    "data parallel": nn.DataParallel,
    "compiled": torch.compile,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "compiled twice wrapped": lambda model: nn.DataParallel(torch.compile(nn.DataParallel(model))),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("saved", WRAPPERS)
@pytest.mark.parametrize("loaded", WRAPPERS)
def test_weights_fit_however_either_side_is_wrapped(saved, loaded, model, tmp_path):
    path = save(WRAPPERS[saved](model).state_dict(), tmp_path / "wrapped.pt")
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    wrapped = WRAPPERS[loaded](other)
    load_weights(wrapped, read_checkpoint(path))
    torch.testing.assert_close(unwrap(wrapped).state_dict(), model.state_dict())


def test_a_model_of_a_module_called_module_fits_itself(tmp_path):
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)

    path = save(nn.DataParallel(Holder()).state_dict(), tmp_path / "holder.pt")
    load_weights(Holder(), read_checkpoint(path))


def test_every_missing_and_unexpected_key_is_an_error(model, tmp_path):
    state = OrderedDict(model.state_dict())
    state["extra.weight"] = state.pop("2.bias")
    with pytest.raises(ValueError, match=r"missing: 2\.bias; unexpected: extra\.weight"):
        load_weights(model, read_checkpoint(save(state, tmp_path / "other.pt")))


def test_another_shape_is_an_error_that_names_both(model, tmp_path):
    state = {**model.state_dict(), "2.weight": torch.ones(2, 5)}
    with pytest.raises(ValueError, match=r"2\.weight is \(2, 5\), the model's is \(2, 4\)"):
        load_weights(model, read_checkpoint(save(state, tmp_path / "other.pt")))


def test_tied_weights_that_a_file_holds_once_fit(tmp_path):
    tied = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    tied[1].weight = tied[0].weight
    save_file({"0.weight": torch.ones(5, 3)}, tmp_path / "tied.safetensors")
    load_weights(tied, read_checkpoint(tmp_path / "tied.safetensors"))
    assert tied[1].weight.eq(1).all() and tied[1].weight is tied[0].weight


def test_lazy_layers_take_the_shapes_that_are_loaded(tmp_path):
    path = save(nn.Linear(7, 2).state_dict(), tmp_path / "lazy.pt")
    lazy = nn.LazyLinear(2)
    load_weights(lazy, read_checkpoint(path))
    assert lazy.weight.shape == (2, 7)


def test_a_number_beside_the_weights_does_not_hide_them(tmp_path):
    state = {"fc.weight": torch.ones(2, 2)}
    found = read_checkpoint(save({"my_weights": state, "log_alpha": torch.zeros(())}, tmp_path / "sac.pt"))
    assert list(found.weights) == ["fc.weight"]
    assert found.notes == ("the weights were found under 'my_weights'",)
    with pytest.raises(ValueError, match="several in it, 'actor', 'critic'"):
        read_checkpoint(save({"actor": state, "critic": state, "alpha": torch.zeros(1)}, tmp_path / "two.pt"))
    beside = {"bn.weight": torch.ones(3), "bn._extra_state": {"seen": torch.ones(3)}}
    assert list(read_checkpoint(save(beside, tmp_path / "extra.pt")).weights) == ["bn.weight"]


def test_a_file_of_an_optimizer_alone_is_told_as_that(tmp_path):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    path = save({"optimizer": optimizer.state_dict()}, tmp_path / "optimizer.pt")
    with pytest.raises(ValueError, match="the tensors in it lie under 'optimizer', where scripts keep other things"):
        read_checkpoint(path)


def test_keys_that_are_no_names_are_told_plainly(tmp_path):
    with pytest.raises(ValueError, match="no tensors under its keys a tuple, 'x'"):
        read_checkpoint(save({(0, 1): torch.ones(3), "x": 3}, tmp_path / "tuples.pt"))
    found = read_checkpoint(save({(0, 1): torch.ones(3), "w.weight": torch.ones(3, 3)}, tmp_path / "some.pt"))
    assert found.notes == ("left out, as their keys are no names: a tuple",)
