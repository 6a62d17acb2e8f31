"""The activation function behind a tensor: where it is, and how to run the operations that lead to it again."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cofire.nets.wiring.wiring import wire


class Net(nn.Module):
    def __init__(self, behind) -> None:
        super().__init__()
        self.fc, self.gate, self.other, self.head = (nn.Linear(6, 6) for _ in range(4))
        self.scale, self.act, self.drop = nn.Parameter(torch.rand(6)), nn.GELU(), nn.Dropout(0.3)
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.behind(self, self.fc(x), x))


FOUND = {
    "a module": (lambda m, h, x: m.act(h), "act", False),
    "a function": (lambda m, h, x: torch.tanh(h), "fc", True),
    "behind a parameter": (lambda m, h, x: F.relu(h * m.scale), "fc", True),
    "behind dropout": (lambda m, h, x: F.relu(m.drop(h)), "drop", True),
    "with two readers": (lambda m, h, x: m.other(F.relu(h)) + F.relu(h), None, False),
    "read twice": (lambda m, h, x: (lambda a: m.other(a) + a)(F.relu(h)), "fc", True),
    "a residual sum": (lambda m, h, x: F.relu(h + x), None, False),
    "a gate of another layer": (lambda m, h, x: h * m.gate(x).sigmoid(), None, False),
    "gates another layer": (lambda m, h, x: h.sigmoid() * m.gate(x), "fc", True),
    "a square": (lambda m, h, x: h.square(), None, False),
    "a random mask": (lambda m, h, x: torch.where(torch.rand_like(h) > 0.5, h, 0.0), None, False),
    "inline dropout": (lambda m, h, x: F.relu(F.dropout(h, 0.3)), None, False),
    "of a view that is changed": (lambda m, h, x: (h[:, :3].relu_(), h)[1], None, False),
}


@pytest.mark.parametrize(("behind", "source", "replayed"), FOUND.values(), ids=FOUND)
def test_where_it_is(behind, source, replayed):
    model, x = Net(behind), torch.randn(5, 6)
    applied = wire(model, x).places[True]["fc"][0].applied
    if source is None:
        assert applied is None
        return
    assert applied is not None and (applied.source, applied.replay is not None) == (source, replayed)
    assert applied.unit_axis == -1


def test_running_it_again_gives_the_same_bits_on_other_data():
    model = Net(lambda m, h, x: 0.5 * (h * m.scale) * (1 + torch.erf(h * m.scale / 2**0.5)))
    applied = wire(model, torch.randn(5, 6)).places[False]["fc"][0].applied
    x = torch.randn(9, 6)
    h = model.fc(x)
    assert torch.equal(applied.replay(h, model.get_parameter), model.behind(model, h, x))


def test_the_loss_at_the_end_is_none():
    model = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1))
    assert wire(model, torch.randn(5, 4)).places[True]["0"][0].applied is not None  # the model's own last module

    class WithLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.fc(x)
            return F.cross_entropy(logits, y), logits

    example = torch.randn(5, 4), torch.zeros(5, dtype=torch.int64)
    assert wire(WithLoss(), example).places[True]["fc"][0].applied is None


def test_each_call_in_a_loop_has_its_own():
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.act = nn.Linear(4, 4), nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            for k in range(3):
                x = self.act(self.cell(x)) if k < 2 else self.cell(x)
            return x

    found = wire(Loop(), torch.randn(5, 4)).places[False]["cell"]
    assert [place.applied is not None for place in found] == [True, True, False]
    assert [place.applied.skip for place in found[:2]] == [0, 0]
