"""The numbers beside weights follow their shapes, as torch's own constructors would set them."""

import pytest
import torch
from torch import nn

from cofire.nets.surgery.counts import is_no_larger, recounted
from cofire.nets.surgery.cut_groups import Change, all_shapes, recount, replace

PAIRS = [
    (nn.Linear(6, 5), nn.Linear(4, 3)),
    (nn.Bilinear(6, 5, 4), nn.Bilinear(6, 3, 2)),
    (nn.Embedding(9, 6), nn.Embedding(9, 4)),
    (nn.Conv2d(6, 4, 3), nn.Conv2d(5, 3, 3)),
    (nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(4, 4, 3, groups=4)),
    (nn.Conv1d(6, 12, 3, groups=6), nn.Conv1d(4, 8, 3, groups=4)),
    (nn.Conv2d(6, 4, 3, groups=2), nn.Conv2d(4, 4, 3, groups=2)),
    (nn.ConvTranspose2d(6, 4, 3), nn.ConvTranspose2d(5, 3, 3)),
    (nn.BatchNorm1d(6), nn.BatchNorm1d(4)),
    (nn.BatchNorm2d(6, affine=False), nn.BatchNorm2d(4, affine=False)),
    (nn.InstanceNorm1d(6, affine=True), nn.InstanceNorm1d(4, affine=True)),
    (nn.LayerNorm(6), nn.LayerNorm(4)),
    (nn.GroupNorm(2, 6), nn.GroupNorm(2, 4)),
    (nn.PReLU(6), nn.PReLU(4)),
    (nn.LSTM(6, 5, 2), nn.LSTM(4, 5, 2)),
    (nn.GRUCell(6, 5), nn.GRUCell(4, 3)),
    (nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))),
]


def resized(module: nn.Module, tensors: dict[str, torch.Tensor], groups: dict[str, int] | None = None) -> Change:
    before, change = all_shapes(module), Change()
    replace(module, tensors, change)
    recount(module, before, groups or {}, change)
    return change


def numbers(module: nn.Module) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if isinstance(value, int | tuple)}


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=lambda module: repr(module).partition("\n")[0])
def test_numbers_are_those_of_a_module_made_at_the_new_size(old, new):
    tensors = {**dict(new.named_parameters()), **dict(new.named_buffers())}
    before, kept = numbers(old), {name: id(one) for name, one in old.named_parameters()}
    change = resized(old, tensors)
    assert numbers(old) == numbers(new)
    assert set(change.counts) == {name for name, value in before.items() if numbers(new)[name] != value}
    change.take_back()
    assert numbers(old) == before
    assert {name: id(one) for name, one in old.named_parameters()} == kept


def test_numbers_that_count_nothing_stay():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_features, self.out_features, self.heads = 6, 7, 6
            self.weight = nn.Parameter(torch.zeros(6, 4))

    own = Own()
    resized(own, {"weight": torch.zeros(5, 4)})
    assert (own.in_features, own.out_features, own.heads) == (5, 7, 6)


def test_groups_that_are_known_decide():
    layer = nn.Conv2d(4, 8, 3, groups=4)
    resized(layer, {"weight": torch.zeros(4, 1, 3, 3)}, {"": 4})  # one of two filters of each channel
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 4, 4)
    assert recounted(layer, {"weight": (4, 1, 3, 3)}) == {}


@pytest.mark.parametrize(
    ("value", "old", "fits"),
    [(3, 4, True), (4, 4, True), (5, 4, False), (0, 4, False), (True, 4, False), (3, True, False), ([3], (4,), True),
     ([3, 3], (4,), False), ("3", 4, False), (3, None, False), ([5], (4,), False)],
)  # fmt: skip
def test_only_smaller_whole_numbers_come_from_a_file(value, old, fits):
    assert is_no_larger(value, old) == fits
