"""Models as other people write them: the right units, or none; and no hook ever raises into their forward."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cofire
from cofire.nets import Capture, CorrelationPenalty, Site, correlation_penalty
from cofire.nets.wiring.live_wiring import live_wiring
from cofire.record import Tracker, correlation
from cofire.stats import Moments


def rows(output: Tensor, axis: int) -> Tensor:
    return output.detach().movedim(axis, -1).flatten(0, -2)


class Lambda(nn.Module):
    """A module of the user's own without parameters."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Scale(nn.Module):
    def __init__(self, shape) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.rand(shape) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class RMSNorm(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class StochasticDepth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = torch.empty(len(x), *(1,) * (x.ndim - 1)).bernoulli_(0.5)
        return x * keep / 0.5


IMAGES = torch.randn(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))
BEHIND = {
    "pooling of one's own": Lambda(lambda x: x.mean((2, 3))),
    "a view": Lambda(lambda x: x.view(len(x), -1)),
    "a flatten with a transpose": Lambda(lambda x: x.flatten(2).transpose(1, 2)),
    "a scale": Scale((8, 1, 1)),
    "a norm": LayerNorm2d(8),
    "a statistic of the batch": Lambda(lambda x: x - x.mean(0, keepdim=True)),
    "a tuple": Lambda(lambda x: (x, x.mean())[0]),
    "a sum over the units": Lambda(lambda x: x.sum(1)),
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_a_module_of_ones_own_behind_a_convolution_changes_nothing_of_its_units(behind):
    model = nn.Sequential(nn.Conv2d(3, 8, 4), behind)
    with cofire.capture(model) as acts:
        model(IMAGES)
    assert list(acts) == ["0"]
    assert torch.equal(acts["0"], rows(model[0](IMAGES), 1))
    with CorrelationPenalty(model, "0") as penalty:
        model(IMAGES)
        torch.testing.assert_close(penalty(), correlation_penalty(model[0](IMAGES), unit_axis=1))


SWISH = Lambda(lambda x: x * torch.sigmoid(x))
ACTED = {
    "a swish of one's own": (SWISH, Scale((8, 1, 1))),
    "a swish behind a norm": (LayerNorm2d(8), SWISH),
    "a leaky unit that is written out": (Lambda(lambda x: torch.maximum(x, 0.1 * x)),),
    "a function in another module": (nn.Identity(), Lambda(F.gelu), nn.Dropout(0.0)),
}


@pytest.mark.parametrize("modules", ACTED.values(), ids=ACTED)
def test_an_activation_function_of_ones_own_is_found_and_the_channels_stay_the_units(modules):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), *modules, nn.Conv2d(8, 4, 1))
    act = 1 + next(k for k, one in enumerate(modules) if isinstance(one, Lambda))
    with cofire.capture(model) as acts:
        model(IMAGES)
    assert torch.equal(acts["0"], rows(model[: act + 1](IMAGES), 1)) and acts["0"].shape[1] == 8
    with CorrelationPenalty(model, "0") as penalty:
        model(IMAGES)
        torch.testing.assert_close(penalty(), correlation_penalty(model[: act + 1](IMAGES), unit_axis=1))


def test_stochastic_depth_is_no_activation_function():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.drop = nn.Linear(6, 6), StochasticDepth()

        def forward(self, x: Tensor) -> Tensor:
            return x + self.drop(self.fc(x))

    model, x = Block().train(), torch.randn(50, 6)
    with cofire.capture(model) as acts:
        model(x)
    assert list(acts) == ["fc"] and torch.equal(acts["fc"], model.fc(x).detach())


def test_seven_modules_in_a_loop_are_seven_layers():
    class Chunks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(7))

        def forward(self, x: Tensor) -> Tensor:
            done = []
            for chunk in x.split(2):
                for layer in self.layers:
                    chunk = torch.tanh(layer(chunk))
                done.append(chunk)
            return torch.cat(done)

    model, x = Chunks(), torch.randn(32, 4)
    with cofire.capture(model, into=Moments) as moments, cofire.capture(model, per_call=True) as apart:
        model(x)
    assert len(moments) == 7 and all(one.count == 32 for one in moments.values())
    assert len(apart) == 7 * 16
    with cofire.capture(model) as acts:
        model(x[:6])  # other numbers of calls than when it was wired
    assert {len(one) for one in acts.values()} == {6}


def test_norms_are_measured_only_when_they_are_asked_for():
    model, x = nn.Sequential(nn.Linear(5, 6), RMSNorm(6), nn.ReLU(), nn.Linear(6, 2)), torch.randn(9, 5)
    with cofire.capture(model) as acts, cofire.capture(model, "1") as asked:
        model(x)
    assert list(acts) == ["0", "3"]
    assert torch.equal(acts["0"], model[:3](x).detach()) and torch.equal(asked["1"], acts["0"])


def test_an_activation_function_is_not_counted_beside_its_layer():
    class Intermediate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.intermediate_act_fn = nn.Linear(4, 8), nn.GELU()

        def forward(self, x: Tensor) -> Tensor:
            return self.intermediate_act_fn(self.dense(x))

    model, x = nn.Sequential(Intermediate(), nn.Linear(8, 4)), torch.randn(9, 4)
    with cofire.capture(model) as acts:
        model(x)
    assert list(acts) == ["0.dense", "1"] and torch.equal(acts["0.dense"], model[0](x).detach())


class Unused(nn.Module):
    """An old head that forward no longer calls."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.old = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize("probe", [None, torch.randn(20, 4)])
def test_an_unused_head_is_left_out_by_default_with_a_probe_or_without(probe):
    model, seen = Unused(), []
    with Tracker(model, [correlation()], every=1, sink=seen.extend, probe=probe) as tracker:
        model(torch.randn(20, 4))
        tracker.step()
    assert {row.site for row in seen} == {"body"}
    with cofire.capture(model) as acts:
        model(torch.randn(5, 4))
    assert acts.left_out["old"] == "never ran"


class Routed(nn.Module):
    """Chooses by value, which no pass on fake tensors can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high, self.head = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.high(x)) if x.mean().item() > 0 else torch.tanh(self.low(x))
        return self.head(h)


def test_a_model_that_chooses_by_value_is_observed_in_the_users_own_pass():
    model, low, high = Routed(), -torch.rand(8, 4), torch.rand(9, 4)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    with cofire.capture(model) as acts:
        expected = [model(low), model(low), model(high)]
    assert len(passes) == 3
    assert torch.equal(acts["low"], torch.tanh(model.low(low)).detach().repeat(2, 1))
    assert torch.equal(acts["high"], F.relu(model.high(high)).detach())
    assert torch.equal(acts["head"], torch.cat(expected).detach())
    assert not torch._C._len_torch_dispatch_stack()


def test_an_observed_pass_that_fails_counts_for_nothing():
    class Failing(Routed):
        def forward(self, x: Tensor) -> Tensor:
            h = super().forward(x)
            if len(x) == 3:
                raise ZeroDivisionError
            return h

    model, x = Failing(), torch.rand(9, 4)
    with cofire.capture(model) as acts:
        with pytest.raises(ZeroDivisionError):
            model(x[:3])
        assert not torch._C._len_torch_dispatch_stack()
        model(x)
    assert len(acts["high"]) == len(acts["head"]) == 9


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("model", [nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), Routed()])
def test_after_an_interrupt_the_next_pass_counts_as_if_the_broken_one_had_not_been(stop, model):
    x, rows_seen = torch.rand(9, 4), []
    layer = "0" if isinstance(model, nn.Sequential) else "high"
    of_layer = model[0] if isinstance(model, nn.Sequential) else model.high
    watching = Capture(model, layer)
    watching.attach()
    penalty = CorrelationPenalty(model, layer)
    tracker = Tracker(model, [correlation(sites=layer)], every=1, sink=rows_seen.extend)
    last = model[2] if isinstance(model, nn.Sequential) else model.head
    for _ in range(2):
        handle = last.register_forward_hook(lambda *_: (_ for _ in ()).throw(stop))
        with pytest.raises(stop):
            model(x[:4])
        handle.remove()
        model(x)
        hidden = F.relu(F.linear(x, of_layer.weight, of_layer.bias))
        torch.testing.assert_close(penalty(), correlation_penalty(hidden))
        penalty().backward()
        tracker.step()
    assert len(next(iter(watching.take().values()))) == 18
    assert {row.n_samples for row in rows_seen} == {9}
    for one in (watching.detach, penalty.close, tracker.close):
        one()
    assert not torch._C._len_torch_dispatch_stack()


class Odd(nn.Module):
    """Returns what has no units, in many forms."""

    def __init__(self, returned) -> None:
        super().__init__()
        self.fc, self.returned = nn.Linear(4, 3), returned

    def forward(self, x: Tensor):
        return self.returned(self.fc(x))


ODD = {
    "nothing": lambda h: None,
    "a number": lambda h: h.sum(),
    "whole numbers": lambda h: h.argmax(-1),
    "a string": lambda h: "text",
    "complex numbers": lambda h: torch.complex(h, h),
    "a sparse tensor": lambda h: h.to_sparse(),
    "no samples": lambda h: h[:0],
    "a set": lambda h: {1, 2},
    "itself in a list": lambda h: (lambda made: made.append(made) or made)([h]),
}


@pytest.mark.parametrize("returned", ODD.values(), ids=ODD)
def test_what_cannot_be_read_is_left_out_and_the_forward_goes_on(returned):
    model, x = Odd(returned), torch.randn(5, 4)
    expected = model(x)
    with cofire.capture(model, ["fc", ""]) as acts:
        found = model(x)
    assert type(found) is type(expected)
    assert torch.equal(acts["fc"], model.fc(x).detach())
    if "" in acts.left_out:
        assert acts.left_out[""]


def test_a_mask_that_raises_is_told_at_the_end_and_not_in_the_forward():
    model = nn.Sequential(nn.Linear(4, 3))
    with (
        pytest.raises(ValueError, match="its mask can't be read: no mask today"),
        cofire.capture(model, mask=lambda args, kwargs: (_ for _ in ()).throw(OSError("no mask today"))),
    ):
        assert model(torch.randn(5, 4)).shape == (5, 3)


def test_a_changed_model_is_wired_anew():
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), torch.randn(9, 4)
    with cofire.capture(model) as acts:
        model(x)
    before = live_wiring(model)
    model[0], model[2] = nn.Conv1d(1, 5, 2), nn.Flatten()
    with cofire.capture(model) as acts:
        model(x[:, None])
    assert live_wiring(model) is not before
    assert torch.equal(acts["0"], rows(model[:2](x[:, None]), 1))


def test_an_axis_that_is_given_wins():
    model = nn.Sequential(nn.Linear(4, 6))
    with cofire.capture(model, Site("0", unit_axis=0)) as acts:
        model(torch.randn(5, 4))
    assert acts["0"].shape == (6, 5)


def test_a_cache_that_is_passed_in_is_not_touched_by_wiring():
    class Cache:
        def __init__(self) -> None:
            self.keys: list[Tensor] = []

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.key, self.out = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, cache: Cache) -> Tensor:
            cache.keys.append(self.key(x))
            return self.out(torch.cat(cache.keys).mean(0, keepdim=True) + x)

    model, cache = Attending(), Cache()
    with cofire.capture(model) as acts:
        for _ in range(3):
            model(torch.randn(5, 4), cache=cache)
    assert len(cache.keys) == 3 and all(type(one) is Tensor for one in cache.keys)
    assert len(acts["key"]) == 15
