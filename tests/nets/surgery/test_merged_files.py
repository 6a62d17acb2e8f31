"""A smaller network goes into a file and comes back as the same function, whatever was cut."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from cofire.nets.shrinking import Shrunk, shrink
from cofire.nets.surgery import load_merged, merged_bytes

from ..architectures import ARCHITECTURES, varied


def written(smaller: Shrunk, folder: Path) -> Path:
    path = folder / "smaller.safetensors"
    path.write_bytes(merged_bytes(smaller.model, smaller.plan["counts"]))
    return path


def test_training_goes_on_and_the_result_loads_from_torchs_own_file(tmp_path):
    make = lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))  # noqa: E731
    x = torch.randn(100, 5)
    smaller = shrink(make(), x, keep={"0": 3})
    model = load_merged(make(), written(smaller, tmp_path))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(x).square().mean().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "epoch": 3}, tmp_path / "further.pt")
    again = load_merged(make(), tmp_path / "further.pt")
    torch.testing.assert_close(again.eval()(x), model.eval()(x))


def test_normalizations_without_weights_are_resized_by_the_numbers_in_the_file(tmp_path):
    make = lambda: nn.Sequential(  # noqa: E731
        nn.Conv1d(2, 6, 3), nn.InstanceNorm1d(6), nn.ReLU(), nn.Conv1d(6, 2, 3), nn.BatchNorm1d(2, affine=False)
    )
    x = torch.randn(20, 2, 12)
    smaller = shrink(make().eval(), x, keep={"0": 4})
    path = written(smaller, tmp_path)
    with safe_open(path, "pt") as file:
        counts = json.loads(file.metadata()["cofire.counts"])
        assert counts == {"0.out_channels": 4, "1.num_features": 4, "3.in_channels": 4}
    fresh = load_merged(make(), path).eval()
    assert fresh[1].num_features == 4
    torch.testing.assert_close(fresh(x), smaller.model(x))  # a wrong width would warn, and warnings are errors


def test_shared_weights_are_there_once_and_come_back_shared(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 9)
            self.out = nn.Linear(9, 2)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.out(self.head(self.second(self.first(x).relu()).relu()).relu())

    model, x = Tied(), torch.randn(60, 4)
    smaller = shrink(model, x, keep={"head": 5})
    path = written(smaller, tmp_path)
    with safe_open(path, "pt") as file:
        assert "second.weight" not in file.keys()  # noqa: SIM118 - no mapping
    fresh = load_merged(Tied(), path)
    assert fresh.first.weight is fresh.second.weight
    torch.testing.assert_close(fresh(x), smaller.model(x))


def test_half_precision_is_kept(tmp_path):
    make = lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)).half()  # noqa: E731
    smaller = shrink(make(), torch.randn(100, 5).half(), keep={"0": 3})
    with safe_open(written(smaller, tmp_path), "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def make() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"0.weight": torch.zeros(9, 5)}, "missing: 0.bias"),
        (make().state_dict() | {"0.weight": torch.zeros(9, 5), "0.bias": torch.zeros(9)}, r"0.weight is \(9, 5\)"),
        (make().state_dict() | {"more": torch.zeros(1)}, "unexpected: more"),
    ],
)
def test_what_does_not_fit_even_with_smaller_layers_is_said(weights, message, tmp_path):
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=message):
        load_merged(make(), tmp_path / "x.safetensors")


@pytest.mark.parametrize("counts", ["no json", "[3]"])
def test_damaged_numbers(counts, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(make().state_dict(), path, {"cofire.counts": counts})
    with pytest.raises(ValueError, match="damaged"):
        load_merged(make(), path)


def test_only_sizes_are_taken_from_a_file(tmp_path):
    path = tmp_path / "x.safetensors"
    counts = {"0.out_features": -3, "2.in_features": "many", "0.training": 0, "1.new": 3, "no.in_features": 2}
    save_file(make().state_dict(), path, {"cofire.counts": json.dumps(counts)})
    model = load_merged(make(), path)
    assert [(one.in_features, one.out_features, one.training) for one in (model[0], model[2])] == [
        (5, 8, True), (8, 2, True),
    ]  # fmt: skip
    assert not hasattr(model[1], "new")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_as_people_write_them_come_back(name, tmp_path):
    build, shape, _ = ARCHITECTURES[name]
    model, x = varied(build()), torch.randn(shape, dtype=torch.float64)
    smaller = shrink(model, x, keep=0.7)
    fresh = load_merged(build().double(), written(smaller, tmp_path)).eval()
    torch.testing.assert_close(fresh(x), smaller.model(x), rtol=0, atol=0)
    assert repr(fresh) == repr(smaller.model)
