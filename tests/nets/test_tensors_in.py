"""Whatever holds a model's tensors, they are found; and wiring, captures and surgery are as with plain tensors."""

from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import attrs
import pytest
import torch
from torch import Tensor, nn

import cofire
from cofire.nets.first_tensor import first_floating
from cofire.nets.shrinking import shrink
from cofire.nets.tensors_in import look_into
from cofire.nets.wiring.wiring import wire


@dataclass
class Data:
    y: Tensor
    more: list = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Slotted:
    y: Tensor


@attrs.define
class Attrs:
    y: Tensor


class Hidden:
    __slots__ = ("__y",)

    def __init__(self, y):
        self.__y = y


class Plain:
    def __init__(self, y):
        self._y = y


class MyDict(OrderedDict):
    pass


class ThingCache(Plain):
    pass


def suspended(y):
    def later():
        yield y

    return later()


Named = namedtuple("Named", "y z")
HOLDERS = {
    "a tensor": lambda y: y,
    "dataclass": Data,
    "deep": lambda y: Data(y.new_zeros(()), [{"k": (Data(y), 1, "a")}]),
    "slots": Slotted,
    "attrs": Attrs,
    "hidden slots": Hidden,
    "object": Plain,
    "namedtuple": lambda y: Named(None, y),
    "dict of its own": lambda y: MyDict(a=y),
    "namespace": lambda y: SimpleNamespace(a=[SimpleNamespace(b=y)]),
    "deque": lambda y: deque([y]),
    "set": lambda y: {y},
    "values": lambda y: {"a": y}.values(),
    "function": lambda y: lambda: y,
    "partial": lambda y: partial(torch.add, y),
    "method": lambda y: Plain(y).__init__,
    "distribution": lambda y: torch.distributions.Normal(y, 1.0, validate_args=False),
    "generator": suspended,
}
OPAQUE = {
    "list_iterator": lambda y: iter([y]),
    "map": lambda y: map(abs, [y]),
    "zip": lambda y: [zip([y], [1], strict=True)],
}


class Model(nn.Module):
    def __init__(self, holder):
        super().__init__()
        self.a, self.b, self.holder = nn.Linear(4, 12), nn.Linear(12, 3), holder

    def forward(self, x):
        return self.holder(self.b(torch.relu(self.a(x))))


@pytest.mark.parametrize("name", HOLDERS)
def test_whatever_holds_them_outputs_are_outputs(name):
    model, x = Model(HOLDERS[name]), torch.randn(200, 4)
    wiring = wire(model, x)
    assert [(one.name, one.is_output, one.group[0].fixed) for one in wiring.layers] == [
        ("a", False, ""),
        ("b", True, "the model's output"),
    ]
    assert not wiring.notes
    smaller = shrink(model, x, keep={"a": 6})
    assert list(smaller.cuts) == ["a"] and len(smaller.cuts["a"].kept) == 6
    assert 0 < smaller.measured < 1
    with cofire.capture(model) as acts:
        model(x)
    assert acts["a"].shape == (200, 12) and acts["b"].shape == (200, 3)


@pytest.mark.parametrize("name", OPAQUE)
def test_what_cannot_be_looked_into_may_be_the_output(name):
    model, x = Model(OPAQUE[name]), torch.randn(200, 4)
    a, b = wire(model, x).layers
    assert b.is_output and f"a {name}, which can't be looked into" in b.group[0].fixed
    assert not a.is_output and not a.group[0].fixed
    with pytest.raises(ValueError, match="no floating-point tensor can be found"):
        shrink(model, x, keep={"a": 6})


# deepcopy takes functions over as they are, and copies neither generators nor views of dicts.
UNCOPIED = ("generator", "function", "method", "partial", "values")


@pytest.mark.parametrize("name", [name for name in HOLDERS if name not in UNCOPIED])
def test_inputs_too_are_found_in_whatever_holds_them(name):
    class Takes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 12), nn.Linear(12, 3)

        def forward(self, held):
            return self.b(torch.relu(self.a(look_into(held).tensors[-1])))

    layers = wire(Takes(), (HOLDERS[name](torch.randn(5, 4)),)).layers
    assert [(one.name, one.units, one.inputs) for one in layers] == [("a", 12, 4), ("b", 3, 12)]


def test_what_is_written_into_an_argument_is_an_output():
    class Fills(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 12), nn.Linear(12, 3), nn.Linear(12, 2)

        def forward(self, x, out):
            h = torch.relu(self.a(x))
            out["b"], out["list"] = self.b(h), [self.c(h)]

    out = {}
    found = {one.name: one.is_output for one in wire(Fills(), (torch.ones(2, 4), out)).layers}
    assert found == {"a": False, "b": True, "c": True} and not out


def test_nothing_is_consumed_called_or_repeated():
    y = torch.ones(2)
    left = iter([y])
    assert look_into([left, y, {"again": y}]).tensors == [y] and next(left) is y
    generator = suspended(y)
    assert look_into(generator).tensors == [y] and next(generator) is y
    round_ = [y]
    round_.append(round_)
    assert look_into(round_).tensors == [y]

    class Broken:
        __slots__ = ("y",)

        def __getattribute__(self, name):
            return Broken if name == "__class__" else 1 / 0

    assert look_into((Broken(), y)).hidden.endswith("Broken")


def test_a_cache_holds_no_outputs():
    y = torch.ones(2)
    assert look_into(ThingCache(y)).tensors == [y] and look_into((ThingCache(y), y), caches=False).tensors == [y]
    assert first_floating((ThingCache(torch.zeros(3)), {"y": Plain(y)})) is y
