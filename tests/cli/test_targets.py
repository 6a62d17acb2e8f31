import numpy as np
import pytest
import torch
from torch import nn

from cofire.cli.targets import load_data, load_target


@pytest.fixture
def weights(tmp_path):
    torch.save(nn.DataParallel(nn.Identity()).state_dict() | {"module.weight": torch.ones(2, 2)}, tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_a_file_of_weights_has_no_model(weights):
    target = load_target(str(weights))
    assert target.model is None and target.checkpoint is not None
    assert list(target.checkpoint.weights) == ["weight"]
    assert target.notes == ("'module' was removed from the names",)


def test_a_factory_takes_weights(tmp_path):
    made = nn.Flatten()
    torch.save({**made.state_dict(), "weight": torch.ones(1)}, tmp_path / "other.pt")
    bare = load_target("torch.nn:Flatten")
    assert isinstance(bare.model, nn.Flatten) and not bare.model.training and bare.notes == ()
    with pytest.raises(ValueError, match="unexpected: weight"):
        load_target("torch.nn:Flatten", weights=tmp_path / "other.pt")


def test_targets_of_unknown_kind(weights, tmp_path):
    with pytest.raises(ValueError, match="goes with module:factory"):
        load_target(str(weights), weights=weights)
    with pytest.raises(ValueError, match="neither a file"):
        load_target("what is this")
    with pytest.raises(FileNotFoundError):
        load_target(str(tmp_path / "nowhere.pt"))
    with pytest.raises(ValueError, match="is a folder"):
        load_target(str(tmp_path))


def test_data_is_the_test_part_of_a_data_set():
    [(x, y)] = load_data("digits", max_samples=100)
    assert x.shape == (100, 1, 8, 8)
    assert y.shape == (100,)


def test_data_is_a_folder_of_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((600, 4)))
    assert [len(batch) for batch in load_data(str(tmp_path), max_samples=550)] == [512, 38]


def test_data_of_unknown_kind():
    with pytest.raises(ValueError, match=r"nor a data set \(digits, mnist"):
        load_data("nowhere", max_samples=3)
    with pytest.raises(ValueError, match="is part of Python itself"):
        load_data("os:getcwd", max_samples=3)
