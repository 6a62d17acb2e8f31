"""What is captured was made by the model in that very pass, whichever way the pass goes."""

import weakref
from collections import Counter
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import cofire
from cofire.nets import CorrelationPenalty, correlation_penalty
from cofire.nets.capturing.activation_watch import ActivationWatch
from cofire.nets.redundancy import redundancy_report
from cofire.record import Tracker, correlation
from cofire.stats.correlation.summary import neuronal_correlation


class Net(nn.Module):
    """Notes the activation of ``layer``, which the reader of this test trusts: it is written in one line."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head, self.drop, self.relu = nn.Linear(4, 6), nn.Linear(6, 2), nn.Dropout(0.4), nn.ReLU()
        self.act, self.beta, self.flag = "relu", 1.0, False

    def forward(self, x: Tensor, act=torch.relu) -> Tensor:
        self.made = self.activation(self.layer(x), x, act)
        return self.head(self.made)


def by_flag(first, second):
    return lambda m, h, x, act: (second if m.flag else first)(m, h)


ACTIVATIONS = {
    "by data": lambda m, h, x, act: (torch.relu if x.mean() > 0 else torch.tanh)(h),
    "by attribute": lambda m, h, x, act: getattr(torch, m.act)(h),
    "by argument": lambda m, h, x, act: act(h),
    "annealed": lambda m, h, x, act: torch.sigmoid(m.beta * h),
    "functional dropout": lambda m, h, x, act: F.relu(F.dropout(h, 0.4, True)),
    "dropout by flag": by_flag(lambda m, h: F.relu(h), lambda m, h: F.relu(F.dropout(h, 0.4, True))),
    "random slopes": lambda m, h, x, act: F.rrelu(h, 0.1, 0.9, training=True),
    "module or function": by_flag(lambda m, h: m.relu(h), lambda m, h: torch.tanh(h)),
    "function or module": by_flag(lambda m, h: torch.tanh(h), lambda m, h: m.relu(h)),
    "behind a module": by_flag(lambda m, h: m.relu(m.drop(h)), lambda m, h: torch.tanh(m.drop(h))),
    "one more step": by_flag(lambda m, h: torch.relu(h), lambda m, h: torch.relu(h * 2)),
    "none or one": by_flag(lambda m, h: h, lambda m, h: torch.relu(h)),
    "one or none": by_flag(lambda m, h: torch.relu(h), lambda m, h: h),
    "none or a module": by_flag(lambda m, h: h * 1, lambda m, h: m.relu(h)),
    "changed later": lambda m, h, x, act: (lambda made: (made.clone(), made.add_(1))[0])(act(h) * 1),
    "in place or not": by_flag(lambda m, h: torch.relu(h), lambda m, h: torch.relu_(h)),
    "several operations": by_flag(lambda m, h: h * torch.sigmoid(h), lambda m, h: h * torch.tanh(F.softplus(h))),
}  # fmt: skip


@pytest.fixture(params=ACTIVATIONS)
def model(request) -> Net:
    made = Net()
    made.activation = ACTIVATIONS[request.param].__get__(made)
    return made


def passes(model: Net):
    """Run the model several times, each as the one before or otherwise; yields what was made each time."""
    for k, change in enumerate((0, 1, 1, 0, 2, 1)):
        model.act, model.beta = ("relu", "tanh", "sigmoid")[change], 1.0 + change
        model.flag = bool(change)
        x = torch.randn(7 + k, 4).abs() * (1 if change == 0 else -1)
        model(x, (torch.relu, torch.tanh, torch.sigmoid)[change])
        yield model.made


def test_capture(model):
    with cofire.capture(model, "layer") as acts:
        made = [one.detach().clone() for one in passes(model)]
    assert torch.equal(acts["layer"], torch.cat(made)) and not acts.left_out.get("layer")


def test_each_capture_of_its_own(model):
    running = passes(model)
    for _ in range(6):
        with cofire.capture(model, "layer") as acts:
            made = next(running)
        assert torch.equal(acts["layer"], made.detach())


def test_penalty(model):
    with CorrelationPenalty(model, "layer") as penalty:
        for made in passes(model):
            value, wanted = penalty(), correlation_penalty(made)
            assert torch.equal(value, wanted)
            if made.requires_grad:
                found = torch.autograd.grad(value, model.layer.weight, retain_graph=True)
                assert torch.equal(found[0], torch.autograd.grad(wanted, model.layer.weight)[0])
            assert not modes()


def test_tracker(model):
    rows, made = [], []
    measure = correlation()
    with Tracker(model, measures=[measure], every=1, sink=rows.extend) as tracker:
        for one in passes(model):
            made.append(one.detach().clone())
            tracker.step()
    found = {row.step: row.value for row in rows if (row.site, row.measure) == ("layer", "nc")}
    assert list(found.values()) == [pytest.approx(neuronal_correlation(one).mean_abs, nan_ok=True) for one in made]


def test_report(model):
    model.eval()
    made = []
    model.head.register_forward_pre_hook(lambda _, args: made.append(args[0].detach().clone()))
    report = redundancy_report(model, [torch.rand(50, 4), -torch.rand(50, 4), torch.rand(50, 4)], "layer")
    wanted = neuronal_correlation(torch.cat(made[-3:]))
    assert report.layers[0].activations.correlation.mean_abs == pytest.approx(wanted.mean_abs, rel=1e-5)


class Turning(nn.Module):
    """Returns the units last; or, with a flag, before the positions."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.flag = nn.Linear(4, 5), False

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).mT if self.flag else self.fc(x)


class WithTurning(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Turning()

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.block(x)).sum((1, 2))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("stage", ["pre", "post"])
def test_units_that_lie_on_another_axis_later(first, stage):
    model, wanted = WithTurning(), []
    with cofire.capture(model, "block", stage=stage) as acts:
        for flag in (first, not first, not first, first):
            model.block.flag = flag
            x = torch.randn(3, 7, 4)
            model(x)
            made = alone(model.block.fc, x).detach().reshape(-1, 5)
            wanted.append(torch.tanh(made) if stage == "post" else made)
    assert torch.equal(acts["block"], torch.cat(wanted))


def test_positions_that_come_later():
    layer = nn.Linear(4, 5)
    model = nn.Sequential(layer, nn.ReLU())
    x, longer = torch.randn(6, 4), torch.randn(2, 3, 4)
    with cofire.capture(model, "0") as acts:
        model(x), model(longer), model(x)
    made = [torch.relu(layer(one)).detach().reshape(-1, 5) for one in (x, longer, x)]
    assert torch.equal(acts["0"], torch.cat(made))


class Passing(nn.Module):
    """Shows the units of others, on an axis that it chooses itself."""

    def __init__(self) -> None:
        super().__init__()
        self.flag = False

    def forward(self, x: Tensor) -> Tensor:
        return x.mT if self.flag else x


def test_a_module_that_only_shows_units_is_left_out_when_it_turns_them():
    model = nn.Sequential(nn.Linear(4, 5), Passing())
    x = torch.randn(3, 7, 4)
    with cofire.capture(model, "1") as acts:
        model(x)
        model[1].flag = True
        model(x)
    assert torch.equal(acts["1"], model[0](x).detach().reshape(-1, 5))
    assert "another shape than before" in acts.left_out["1"]


class Written(nn.Module):
    """An activation function of which the code behind it does not matter."""

    def __init__(self, behind) -> None:
        super().__init__()
        self.layer, self.head, self.behind = nn.Linear(4, 6), nn.Linear(6, 2), behind
        self.act = torch.tanh

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.behind(self.act(self.layer(x))))


CHANGED = {
    "scaled in place": lambda h: h.mul_(2),
    "a sum in place": lambda h: h.add_(torch.ones(6)),
    "through a view": lambda h: (h[:, :3].mul_(2), h)[1],
    "filled": lambda h: h.masked_fill_(h > 0, 0),
}


@pytest.mark.parametrize("behind", CHANGED.values(), ids=CHANGED)
@pytest.mark.parametrize("act", [torch.sin, F.softplus, F.gelu])  # which do not need their results for gradients
def test_what_is_changed_in_place_later_is_seen_before(behind, act):
    model = Written(behind)
    with CorrelationPenalty(model, "layer") as penalty, cofire.capture(model, "layer") as acts:
        for model.act in (act, torch.cos, act):
            x = torch.randn(9, 4)
            model(x)
            made = model.act(alone(model.layer, x))
            assert torch.equal(acts["layer"][-9:], made.detach())
            found = torch.autograd.grad(penalty(), model.layer.weight, retain_graph=True)
            assert torch.equal(found[0], torch.autograd.grad(correlation_penalty(made), model.layer.weight)[0])


def test_one_activation_module_for_two_layers_is_each_layers_own():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.act, self.flag = nn.Linear(4, 6), nn.Linear(6, 6), nn.ReLU(), False

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.a(x)) if self.flag else self.act(self.a(x))
            return self.act(self.b(h))

    model = Shared()
    with cofire.capture(model) as acts:
        for model.flag in (False, True, False):
            x = torch.randn(5, 4)
            y = model(x)
            made = (torch.tanh if model.flag else torch.relu)(alone(model.a, x))
            assert torch.equal(acts["a"][-5:], made.detach()) and torch.equal(acts["b"][-5:], y.detach())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_on_the_way_ends_what_is_watched(error):
    def fails(h: Tensor) -> Tensor:
        raise error

    model, x = Written(lambda h: h), torch.randn(5, 4)
    with cofire.capture(model, "layer") as acts:
        model(x)
        model.act = fails
        with pytest.raises(error):
            model(x)
        model.act = torch.relu
        model(x)
    assert torch.equal(acts["layer"], torch.cat([model_act(model.layer(x)) for model_act in (torch.tanh, torch.relu)]))
    assert not modes()


def test_what_is_done_with_a_part_that_was_called_alone_does_not_count():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6)), nn.Linear(6, 2))
    with cofire.capture(model, "0.*") as acts:
        wanted = []
        for _ in range(3):
            h = model[0](torch.randn(5, 4))
            torch.sigmoid(h).sum().backward()
            wanted.append(h.detach())
    assert torch.equal(acts["0.2"], torch.cat(wanted)) and not modes()


def test_what_is_watched_is_let_go():
    model = Written(lambda h: h)
    with cofire.capture(model, "layer"):
        for model.act in (torch.tanh, torch.relu, torch.cos):
            x = torch.randn(5, 4)
            model(x)
            given = weakref.ref(x)
            del x
            assert given() is None


def test_a_long_way_is_watched_in_part_only(monkeypatch):
    monkeypatch.setattr("cofire.nets.capturing.activation_watch.HORIZON", 20)
    kept = []
    follow = ActivationWatch._follow
    monkeypatch.setattr(
        ActivationWatch, "_follow", lambda self, *args: (kept.append(len(self._events)), follow(self, *args))
    )
    model, x = Written(lambda h: h), torch.randn(5, 4)
    with cofire.capture(model, "layer") as acts:
        model(x)
        model.act, model.behind = torch.sin, lambda h: [h := h + 1 for _ in range(60)][-1]
        model(x)
    assert torch.equal(acts["layer"][5:], torch.sin(model.layer(x)).detach())
    assert kept == [21]


class Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


class Around(nn.Module):
    """Opens a mode of the user's own around parts of the way."""

    def __init__(self, begins: int) -> None:
        super().__init__()
        self.layer, self.head, self.begins, self.counting = nn.Linear(4, 6), nn.Linear(6, 2), begins, Counting()

    def forward(self, x: Tensor) -> Tensor:
        steps = [self.layer, torch.tanh, torch.neg, self.head]
        for k, step in enumerate(steps):
            with self.counting if self.begins <= k < self.begins + 2 else nullcontext():
                x = step(x)
        return x


@pytest.mark.parametrize("begins", [-1, 0, 1, 2, 3])
def test_a_mode_of_the_users_ends_where_it_did(begins):
    model, x = Around(begins), torch.randn(5, 4)
    model(x)
    names, model.counting.names = model.counting.names, []
    with cofire.capture(model, ["layer", "head"]) as acts:
        model(x)
        assert not modes()
        model.counting.names = []
        with Counting() as outside:
            model(x)
            assert modes() == [outside]
        assert model.counting.names == names and not modes()
    assert torch.equal(acts["layer"], torch.tanh(model.layer(torch.cat([x, x]))).detach())


def test_a_penalty_inside_a_transform_learns_from_a_written_out_activation():
    model, x = Written(lambda h: h), torch.randn(9, 4)
    model.act = lambda h: F.softplus(2 * h)
    weights = {name: one.detach().clone() for name, one in model.named_parameters()}
    with CorrelationPenalty(model, "layer") as penalty:

        def loss(given: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(model, given, (x,)).sum() * 0 + penalty()

        found = torch.func.grad(loss)(weights)["layer.weight"]
    wanted = correlation_penalty(model.act(model.layer(x)))
    torch.testing.assert_close(found, torch.autograd.grad(wanted, model.layer.weight)[0])


def test_where_a_transform_hides_the_gradient_the_layer_is_left_out():
    model, x = Written(torch.neg), torch.randn(9, 4)
    weights = {name: one.detach().clone() for name, one in model.named_parameters()}
    with CorrelationPenalty(model, "layer") as penalty:

        def loss(given: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(model, given, (x,)).sum() * 0 + penalty()

        with pytest.raises(RuntimeError, match=r"inside torch\.func its activation has a gradient only if"):
            torch.func.grad(loss)(weights)


@pytest.mark.parametrize("model", [nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), Written(lambda h: h)])
def test_a_pass_like_the_ones_before_is_hardly_watched(model, monkeypatch):
    seen = Counter()
    run = ActivationWatch.__torch_dispatch__

    def counted(self, func, types, args=(), kwargs=None):
        seen[func._schema.name] += 1
        return run(self, func, types, args, kwargs)

    monkeypatch.setattr(ActivationWatch, "__torch_dispatch__", counted)
    with cofire.capture(model):
        for _ in range(2):
            seen.clear()
            model(torch.randn(5, 4))
    assert seen == ({} if isinstance(model, nn.Sequential) else {"aten::tanh": 1, "aten::detach": 1})


def alone(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return a layer's output without running its hooks."""
    return F.linear(x, layer.weight, layer.bias)


def modes() -> list:
    return list(torch.utils._python_dispatch._get_current_dispatch_mode_stack())
