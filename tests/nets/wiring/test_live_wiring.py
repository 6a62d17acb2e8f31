"""What is known of a model's wiring grows with what its passes show."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cofire
from cofire.nets.wiring.live_wiring import LiveWiring, live_wiring
from cofire.nets.wiring.rules import RULES
from cofire.nets.wiring.wiring import wire


class Method(nn.Module):
    """Two ways into one model."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 6), nn.Linear(6, 4)

    def encode(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        return torch.relu(self.encoder(x)) * scale

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


def test_a_method_that_is_called_is_followed():
    model, x = Method(), torch.randn(7, 4)
    with cofire.capture(model, ["encoder", "encoder:pre"]) as acts:
        found = model.encode(x, scale=2.0)
    assert torch.equal(acts["encoder:pre"], model.encoder(x).detach())
    assert torch.equal(2.0 * acts["encoder"], found.detach())
    assert list(live_wiring(model).layers) == ["encoder"]
    with cofire.capture(model) as acts:
        model(x)
    assert list(acts) == ["encoder", "decoder"]


def test_all_who_ask_share_what_is_known():
    model = Method()
    live = live_wiring(model)
    with cofire.capture(model), cofire.nets.CorrelationPenalty(model, "encoder"):
        model(torch.randn(7, 4))
        version = live.version
        model(torch.randn(7, 4))
    assert live_wiring(model) is live and live.version == version and live.knows("decoder")
    model.encoder = nn.Linear(4, 6)
    assert live_wiring(model) is not live


def test_a_part_adds_its_layers_under_its_name():
    live = LiveWiring()
    live.add(wire(nn.Linear(4, 3), torch.ones(2, 4)), "experts.1")
    live.add(wire(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), torch.ones(2, 4)), "block")
    assert [(one.name, one.module, one.parameter) for one in live.layers.values()] == [
        ("experts.1", "experts.1", "experts.1.weight"),
        ("block.0", "block.0", "block.0.weight"),
    ]
    place = live.place("block.0", 3, training=True, shape=(2, 5))
    assert place is not None and place.unit_axis == -1
    assert place.applied is not None and [leg.module for leg in place.applied.legs] == ["block.1"]
    assert live.unseen(["block", "block.2"]) == ["block.2"]


def test_what_a_wrapper_exchanges_is_read_by_its_type():
    class Hidden(nn.Linear):
        """Multiplies by numbers that are not its parameter, as a sharding wrapper may."""

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight, self.bias)

    model = nn.Sequential(Hidden(4, 3), nn.Tanh())
    stored = model[0].weight
    del model[0]._parameters["weight"]
    model[0].weight = stored.detach().clone()
    x = torch.randn(5, 4)
    with cofire.capture(model) as acts:
        model(x)
    assert torch.equal(acts["0"], model(x).detach())
    (layer,) = live_wiring(model).layers.values()
    assert layer.assumed == "assumed: its parameters were not seen when it ran" and layer.units == 3


class Odd(nn.Module):
    """Computes in a way that following fails on, if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.act, self.b = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)

    def forward(self, x: Tensor, *, odd: int = 0, **_: object) -> Tensor:
        y = self.b(self.act(self.a(x)))
        return torch.flip(y, [0]) if odd else y


def _broken(monkeypatch):
    """Let following fail at flips, as a mistake of cofire's does."""
    seen = []

    def fail(call):
        seen.append(call)
        raise RecursionError("no way")

    monkeypatch.setitem(RULES, "flip", fail)
    return seen


def test_an_odd_first_pass_hides_nothing_that_an_ordinary_one_shows(monkeypatch):
    model, x, seen = Odd(), torch.randn(7, 4), _broken(monkeypatch)
    expected = model.a(x).relu().detach()
    with cofire.capture(model) as acts:
        model(x, odd=1)
    live = live_wiring(model)
    assert "no way" in live.assumed["a"]
    n_tries = len(seen)
    with cofire.capture(model) as acts:
        for _ in range(3):
            model(torch.cat([x, x]), odd=1)
    assert len(seen) == n_tries and "a" in live.assumed  # a call of that form is not tried again
    with cofire.capture(model) as acts:
        for _ in range(2):
            model(x, odd=1)
        model(x)
    assert not live.assumed and torch.equal(acts["a"][-7:], expected)
    with cofire.capture(model) as acts:
        model(x)
    fresh = Odd()
    with cofire.capture(fresh) as others:
        fresh(x)
    assert list(acts) == list(others) and not live.assumed and live_wiring(model).layers.keys() == {"a", "b"}
    assert torch.equal(acts["a"], expected)
    with cofire.capture(model) as acts:
        model(x, odd=1)  # what was followed stays
    assert not live.assumed and torch.equal(acts["a"], expected)


def test_units_of_the_models_own_parameters_that_do_not_show_are_named():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Parameter(torch.randn(8, 2, 4)), nn.Parameter(torch.randn(8, 2, 4))
            self.head = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            q, k = (torch.einsum("btd,dhk->bhtk", x, w) for w in (self.q, self.k))
            return self.head((q @ k.mT).mean(1))

    model, x = Attention(), torch.randn(7, 5, 8)
    reason = "its units do not show in the output of the model"
    found = cofire.nets.sites(model, example=x)
    assert [str(site) for site in found] == ["head"] and found.left_out == {"q": reason, "k": reason}
    with cofire.capture(model) as acts:
        model(x)
    assert list(acts) == ["head"] and acts.left_out == {"q": reason, "k": reason}
