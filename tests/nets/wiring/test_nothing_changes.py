"""Nothing changes: what a model was given, holds and draws from is after `wire` and surgery as it was before."""

import random
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

import cofire
from cofire.nets.shrinking import shrink
from cofire.nets.surgery import output_error
from cofire.nets.wiring.wiring import wire

NUMPY, PYTHON, TORCH = np.random.default_rng(0), random.Random(1), torch.Generator()


class Shared:
    numbers = np.random.RandomState(2)


def noise():
    return float(NUMPY.normal()) + Shared.numbers.rand()


def closed_over():
    own = np.random.default_rng(3)
    return lambda: own.random()


@dataclass
class Holder:
    items: list = field(default_factory=list)
    n: int = 0


class Slots:
    __slots__ = ("n",)

    def __init__(self):
        self.n = 0


def counting():
    n = 0

    def count():
        nonlocal n
        n += 1
        return n

    return count


class Restless(nn.Module):
    """Changes all that it can: its input, its attributes, and every kind of generator."""

    of_class = random.Random(4)

    def __init__(self, *, decides):
        super().__init__()
        self.a, self.b, self.decides = nn.Linear(4, 12), nn.Linear(12, 3), decides
        self.generator, self.more = torch.Generator(), {"all": [torch.Generator(), np.random.default_rng(5)]}
        self.closed, self.count = closed_over(), counting()
        self.log, self.deep, self.seen, self.last = [], {"x": [OrderedDict(a=[1])]}, {1}, deque([1], maxlen=2)
        self.counter, self.lists, self.bytes = Counter("a"), defaultdict(list), bytearray(b"a")
        self.tensor, self.array, self.holder, self.slots = torch.zeros(2), np.zeros(2), Holder(), Slots()

    def forward(self, x, more=()):
        x.add_(1)
        for one in more:
            one.mul_(2)
        if self.decides:
            x.sum().item()
        self.n_runs = getattr(self, "n_runs", 0) + 1
        self.log.append(x.shape)
        self.deep["x"][0]["a"].append(2)
        self.deep["y"] = 1
        self.deep["x"][0].move_to_end("a")
        self.seen.add(2)
        self.last.append(2)
        self.counter.update("bc")
        self.lists["k"].append(1)
        self.bytes.append(3)
        self.tensor.add_(1)
        self.array += 1
        self.holder.items.append(1)
        self.holder.n += 1
        self.slots.n += 1
        self.count()
        x = x + torch.randn(4, generator=self.generator) + torch.rand(4, generator=self.more["all"][0])
        x = x * (noise() + PYTHON.random() + self.of_class.random() + self.closed() + self.more["all"][1].random())
        x = x + torch.rand(4, generator=TORCH) + random.random() + np.random.rand() + torch.rand(4)  # noqa: NPY002
        return self.b(torch.relu(self.a(x)))


def state(model):
    own = [str(vars(model)[name]) for name in vars(model) if not name.startswith("_")]
    inner = [model.slots.n, model.count.__closure__[0].cell_contents, vars(model).get("n_runs")]
    made = [model.generator, model.more["all"][0], TORCH, torch.default_generator]
    arrays = [NUMPY, model.more["all"][1], model.closed.__closure__[0].cell_contents]
    drawn = [PYTHON.getstate(), model.of_class.getstate(), str(Shared.numbers.get_state()), random.getstate()]
    return [
        *own,
        *inner,
        *(one.get_state().tolist() for one in made),
        *(str(one.bit_generator.state) for one in arrays),
        *drawn,
        str(np.random.get_state()),  # noqa: NPY002
    ]


LOOKS = (
    wire,
    lambda model, x: cofire.nets.sites(model, example=x),
    lambda model, x: shrink(model, x, keep=0.8),
    lambda model, x: shrink(model, [(x, x), (x, x)]),
)


@pytest.mark.parametrize("decides", [False, True])
@pytest.mark.parametrize("look", LOOKS)
def test_a_restless_model_and_its_data_stay_as_they_are(decides, look):
    model, x = Restless(decides=decides), torch.randn(50, 4)
    before, given = state(model), x.clone()
    held = {name: id(one) for name, one in vars(model).items()}
    look(model, x)
    if look not in LOOKS[:2]:  # surgery runs a copy of the model, which shares its functions
        model.count.__closure__[0].cell_contents = 0
    assert state(model) == before and torch.equal(x, given)
    assert {name: id(one) for name, one in vars(model).items()} == held


@pytest.mark.parametrize("decides", [False, True])
def test_arguments_of_all_kinds_stay_as_they_are(decides):
    model, x, more = (
        Restless(decides=decides),
        torch.randn(5, 4),
        [torch.ones(2), torch.ones(3, requires_grad=True) * 1],
    )
    wire(model, {"x": x, "more": more})
    assert torch.equal(more[0], torch.ones(2)) and torch.equal(more[1], torch.ones(3))
    output_error(model, model, x)
    assert not wire(model, {"x": x, "more": more}).layers[0].assumed


def test_a_capture_does_not_change_what_the_model_returns():
    model, x = Restless(decides=False), torch.randn(5, 4)
    runs = []
    for captured in (False, True):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        fresh = Restless(decides=False)
        fresh.load_state_dict(model.state_dict())
        PYTHON.seed(0)
        Restless.of_class.seed(0)
        TORCH.manual_seed(0)
        Shared.numbers.seed(0)
        NUMPY.bit_generator.state = np.random.default_rng(0).bit_generator.state
        if captured:
            with cofire.capture(fresh):
                runs.append(fresh(x.clone()))
        else:
            runs.append(fresh(x.clone()))
    assert torch.equal(*runs)
