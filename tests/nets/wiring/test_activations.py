"""The activation function behind a tensor: which modules and operations lead to it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cofire.nets.wiring.follow import base_name
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
    "a module": (lambda m, h, x: m.act(h), ["act"]),
    "a function": (lambda m, h, x: torch.tanh(h), [["tanh"]]),
    "behind a parameter": (lambda m, h, x: F.relu(h * m.scale), [["mul"], ["relu"]]),
    "behind dropout": (lambda m, h, x: F.relu(m.drop(h)), ["drop", ["relu"]]),
    "with two readers": (lambda m, h, x: m.other(F.relu(h)) + F.relu(h), None),
    "read twice": (lambda m, h, x: (lambda a: m.other(a) + a)(F.relu(h)), [["relu"]]),
    "a residual sum": (lambda m, h, x: F.relu(h + x), None),
    "a gate of another layer": (lambda m, h, x: h * m.gate(x).sigmoid(), None),
    "gates another layer": (lambda m, h, x: h.sigmoid() * m.gate(x), [["sigmoid"]]),
    "a square": (lambda m, h, x: h.square(), None),
    "a random mask": (lambda m, h, x: torch.where(torch.rand_like(h) > 0.5, h, 0.0), None),
    "inline dropout": (lambda m, h, x: F.relu(F.dropout(h, 0.3)), [["mul"], ["relu"]]),
    "random slopes": (lambda m, h, x: F.rrelu(h, training=True), [["rrelu_with_noise"]]),
    "several operations": (lambda m, h, x: h * (h * 0.5).sigmoid(), [["mul", "sigmoid", "mul"]]),
    "of a view that is changed": (lambda m, h, x: (h[:, :3].relu_(), h)[1], None),
}


def legs(trail) -> list[str | list[str]]:
    return [leg.module or [base_name(one.function) for one in leg.operations] for leg in trail.legs]


@pytest.mark.parametrize(("behind", "expected"), FOUND.values(), ids=FOUND)
def test_what_leads_to_it(behind, expected):
    trail = wire(Net(behind), torch.randn(5, 6)).places[True]["fc"][0].applied
    if expected is None:
        assert trail is None
        return
    assert trail is not None and legs(trail) == expected
    assert (trail.n_axes, trail.start_axis, trail.unit_axis) == (2, -1, -1)
    assert all(leg.unit_axis == -1 for leg in trail.legs)


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
    assert [legs(place.applied) for place in found[:2]] == [["act"], ["act"]]
