import numpy as np
import pytest
import torch
from torch import nn

from cofire.cli.targets import Loading, weights_report


@pytest.fixture
def weights(tmp_path):
    torch.save(nn.DataParallel(nn.Identity()).state_dict() | {"module.weight": torch.ones(2, 2)}, tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_a_file_of_weights_has_no_model(weights):
    target = Loading().target(str(weights))
    assert target.model is None and target.checkpoint is not None
    assert list(target.checkpoint.weights) == ["weight"]
    assert target.notes == ("'module' was removed from the names",)


def test_a_factory_takes_weights(tmp_path):
    made = nn.Flatten()
    torch.save({**made.state_dict(), "weight": torch.ones(1)}, tmp_path / "other.pt")
    bare = Loading().target("torch.nn:Flatten")
    assert isinstance(bare.model, nn.Flatten) and not bare.model.training and bare.notes == ()
    with pytest.raises(ValueError, match="unexpected: weight"):
        Loading(weights=tmp_path / "other.pt").target("torch.nn:Flatten")


def test_targets_of_unknown_kind(weights, tmp_path):
    with pytest.raises(ValueError, match="goes with module:factory"):
        Loading(weights=weights).target(str(weights))
    with pytest.raises(ValueError, match="was not found; a target is a file of weights"):
        Loading().target("what is this")
    with pytest.raises(FileNotFoundError):
        Loading().target(str(tmp_path / "nowhere.pt"))
    with pytest.raises(ValueError, match="is a folder"):
        Loading().target(str(tmp_path))


def inputs(data: str, **options: int):
    """The batches of ``--data`` for a model of no library."""
    loading = Loading(data=data, **options)
    return loading.inputs(loading.target("torch.nn:Flatten"))


def test_data_is_the_test_part_of_a_data_set():
    [(x, y)] = inputs("digits", max_samples=100)
    assert x.shape == (100, 1, 8, 8)
    assert y.shape == (100,)


def test_data_is_a_folder_of_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((600, 4)))
    assert [len(batch) for batch in inputs(str(tmp_path), max_samples=550)] == [512, 38]
    assert [len(batch) for batch in inputs(str(tmp_path), max_samples=550, batch_size=300)] == [300, 250]


def test_data_of_unknown_kind():
    with pytest.raises(ValueError, match=r"'nowhere' was not found; --data takes a file or folder.*; or digits, mnist"):
        inputs("nowhere")
    with pytest.raises(ValueError, match="is part of Python itself"):
        inputs("os:getcwd")


def test_a_key_chooses_the_weights(tmp_path):
    torch.save({"ema": {"weight": torch.zeros(2, 2)}, "model": {"weight": torch.ones(2, 2)}}, tmp_path / "two.pt")
    (chosen,) = Loading(key="ema").target(str(tmp_path / "two.pt")).checkpoint.weights.values()
    assert chosen.eq(0).all()
    with pytest.raises(ValueError, match=r"has no 'emma': there is no 'emma' among 'ema', 'model'"):
        Loading(key="emma").target(str(tmp_path / "two.pt"))


def test_unexpected_weights_are_ignored_on_request_and_said_to_be(tmp_path):
    state = {**nn.Linear(2, 3).state_dict(), "position_ids": torch.arange(4)}
    torch.save(state, tmp_path / "old.pt")
    factory = f"{Linear.__module__}:Linear"
    with pytest.raises(ValueError, match="unexpected: position_ids"):
        Loading(weights=tmp_path / "old.pt").target(factory)
    found = Loading(weights=tmp_path / "old.pt", allow_unexpected=True).target(factory)
    assert found.notes == ("ignored, as the model has no such weights: position_ids",)
    assert found.model.weight.equal(state["weight"])


class Linear(nn.Linear):
    """A factory of its own."""

    def __init__(self) -> None:
        super().__init__(2, 3)


class Shapes(nn.Linear):
    """A factory on the meta device."""

    def __init__(self) -> None:
        super().__init__(2, 3, device="meta")


def test_a_model_on_the_meta_device_takes_the_numbers_of_a_file(tmp_path):
    factory = f"{Shapes.__module__}:Shapes"
    with pytest.raises(ValueError, match=r"is on the meta device and has no numbers; add --weights"):
        Loading().target(factory)
    state = nn.Linear(2, 3).state_dict()
    torch.save(state, tmp_path / "net.pt")
    assert Loading(weights=tmp_path / "net.pt").target(factory).model.weight.equal(state["weight"])


def test_options_about_files_are_refused_without_one(weights):
    with pytest.raises(ValueError, match="are about a file of weights"):
        Loading(key="model").target("torch.nn:Flatten")
    with pytest.raises(ValueError, match="is about a model that weights are loaded into"):
        Loading(allow_unexpected=True).target(str(weights))


def test_tensors_that_can_not_be_read_are_in_the_report(tmp_path):
    torch.save({"weight": torch.randn(4, 6), "odd": torch.eye(3).to_sparse()}, tmp_path / "odd.pt")
    assert weights_report(Loading().target(str(tmp_path / "odd.pt"))).left_out == {"odd": "sparse"}
    torch.save({"odd": torch.eye(3).to_sparse()}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match=r"no weight that can be read \(odd: sparse\)"):
        weights_report(Loading().target(str(tmp_path / "none.pt")))
