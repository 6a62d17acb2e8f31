"""Weights are read as the module uses them, and reading them changes nothing."""

import random
import threading
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from cofire.nets.layers.effective_weight import effective_weight
from cofire.nets.penalties import WeightCorrelationPenalty
from cofire.nets.redundancy import weight_redundancy_report
from cofire.record import Tracker, weight_correlation


class Stateful(nn.Module):
    """Counts its calls in a buffer, a number, a list, an object and a switch; draws from four generators."""

    class Notes:
        seen = 0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("runs", torch.zeros(()))
        self.calls, self.log, self.notes, self.on = 0, [], self.Notes(), True
        self.own = torch.Generator().manual_seed(0)
        self.array = np.random.default_rng(0)
        self.latest: Tensor | None = None

    def forward(self, weight: Tensor) -> Tensor:
        self.runs += 1
        self.calls += 1
        self.notes.seen += 1
        self.on = not self.on
        self.log.append(weight)
        with torch.no_grad():
            weight.mul_(1.001)
        drawn = torch.randn(()) + torch.randn((), generator=self.own) + random.random() + self.array.random()
        self.latest = weight * (self.runs + self.calls + self.notes.seen + len(self.log) + self.on)
        return self.latest + 1e-2 * (drawn + float(np.random.rand()))  # noqa: NPY002

    def seen(self) -> tuple[object, ...]:
        state = self.array.bit_generator.state["state"]["state"], bytes(self.own.get_state().numpy())
        return self.calls, len(self.log), self.notes.seen, self.on, self.latest is None, *state


def stateful(layer: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(layer, "weight", Stateful())


def twice(layer: nn.Module) -> nn.Module:
    return parametrizations.spectral_norm(parametrizations.weight_norm(layer))


def pruned(layer: nn.Module) -> nn.Module:
    prune.random_unstructured(layer, "weight", 0.3)
    prune.l1_unstructured(layer, "weight", 0.2)
    return layer


CHANGES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "plain": lambda layer: layer,
    "spectral_norm": parametrizations.spectral_norm,
    "weight_norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "twice": twice,
    "old_weight_norm": nn.utils.weight_norm,
    "old_spectral_norm": nn.utils.spectral_norm,
    "pruned": pruned,
    "stateful": stateful,
}

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Callable[[nn.Module], nn.Module]:
    return CHANGES[request.param]


def randomness() -> tuple[bytes, object, bytes]:
    return bytes(torch.get_rng_state().numpy()), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002


def everything(model: nn.Module) -> dict[str, object]:
    """All of a model's state that a reader could change, comparable by ==."""
    tensors = {name: one.detach().clone().numpy().tobytes() for name, one in model.state_dict(keep_vars=True).items()}
    own = {
        f"{name}.{key}": (id(value), value._version, value.detach().clone().numpy().tobytes())
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, Tensor)
    }
    seen = {name: one.seen() for name, one in model.named_modules() if isinstance(one, Stateful)}
    versions = [one._version for one in (*model.parameters(), *model.buffers())]
    return {**tensors, **own, **seen, "versions": versions, "modes": [one.training for one in model.modules()]}


def as_used(layer: nn.Module, name: str = "weight") -> Tensor:
    """What the next forward pass of the layer works with."""
    used = []
    handle = layer.register_forward_pre_hook(lambda module, args: used.append(getattr(module, name)))
    layer(torch.ones(2, 6))
    handle.remove()
    return used[0]


@pytest.mark.parametrize("training", [True, False])
def test_it_is_what_the_next_forward_uses(change, training):
    torch.manual_seed(0)
    layer = change(nn.Linear(6, 5)).train(training)
    layer(torch.ones(2, 6))
    with torch.no_grad():  # as an optimizer's step; what hooks have left at the module is stale
        for parameter in layer.parameters():
            parameter.mul_(1.5).add_(0.01 * torch.randn_like(parameter))
    before, drawn = everything(layer), randomness()
    read = effective_weight(layer, "weight")
    assert everything(layer) == before and randomness() == drawn
    used = as_used(layer)
    assert torch.equal(read, used)
    # the gradient is that of the model itself
    wanted = torch.autograd.grad(used.square().sum(), list(layer.parameters()), allow_unused=True)
    found = torch.autograd.grad(read.square().sum(), list(layer.parameters()), allow_unused=True)
    assert any(one is not None for one in wanted)
    for one, other in zip(wanted, found, strict=True):
        assert (one is None) == (other is None) and (one is None or torch.equal(one, other))


def train(model: nn.Module, read: Callable[[], object], stepped: Callable[[], object]) -> dict[str, object]:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 6)).square().mean()
        read()
        loss.backward()
        optimizer.step()
        stepped()
    tensors = {name: one.detach().numpy().tobytes() for name, one in model.state_dict().items()}
    seen = {name: one.seen() for name, one in model.named_modules() if isinstance(one, Stateful)}
    return {**tensors, **seen, "random": randomness()}


def test_training_ends_bit_equal_with_every_reader_of_weights(change):
    def made() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(change(nn.Linear(6, 5)), nn.Tanh(), change(nn.Linear(5, 3)))

    alone, model = train(made(), bool, bool), made()
    rows = []
    tracker = Tracker(model, [weight_correlation(sites=["0", "2"])], every=1, sink=rows.extend)
    penalty = WeightCorrelationPenalty(model, ["0", "2"])
    read = [penalty, lambda: weight_redundancy_report(model)]
    assert train(model, lambda: [one() for one in read], tracker.step) == alone
    assert {row.site for row in rows} == {"0", "2"} and penalty.value.requires_grad is False


@pytest.mark.parametrize("change", [parametrizations.spectral_norm, stateful])
def test_inside_cached_the_value_that_the_model_shares_is_read(change):
    layer = change(nn.Linear(6, 5))
    with parametrize.cached():
        with torch.no_grad():
            effective_weight(layer, "weight")
        used = as_used(layer)
        assert used.requires_grad  # nothing was put into the cache
        assert effective_weight(layer, "weight") is used
        assert as_used(layer) is used


@pytest.mark.parametrize("change", [parametrizations.weight_norm, nn.utils.weight_norm, pruned])
def test_every_weight_of_recurrent_layers_and_attention_is_read(change):
    def changed(layer: nn.Module, *names: str) -> nn.Module:
        for name in names:
            if change is pruned:
                prune.random_unstructured(layer, name, 0.4)
            else:
                change(layer, name)
        return layer

    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)
    shapes = {name: one.shape for name, one in lstm.named_parameters()}
    changed(lstm, "weight_hh_l0", "weight_hr_l1_reverse")
    found = {name: cast(Tensor, effective_weight(lstm, name)) for name in shapes}
    assert {name: one.shape for name, one in found.items()} == shapes
    assert torch.equal(found["weight_hh_l0"], lstm.weight_hh_l0)
    assert torch.equal(found["weight_hr_l1_reverse"], lstm.weight_hr_l1_reverse)
    attention = changed(nn.MultiheadAttention(4, 2), "in_proj_weight")
    assert torch.equal(cast(Tensor, effective_weight(attention, "in_proj_weight")), attention.in_proj_weight)


def test_a_lazy_layer_has_no_weights_yet():
    layer = nn.LazyLinear(4)
    with pytest.raises(ValueError, match=r"'weight' of this LazyLinear has no value before its first run; run the"):
        effective_weight(layer, "weight")
    layer(torch.ones(2, 3))
    assert effective_weight(layer, "weight") is layer.weight


def test_a_plain_parameter_is_itself_and_absent_ones_are_none():
    layer = nn.Linear(3, 4)
    assert effective_weight(layer, "weight") is layer.weight
    assert effective_weight(nn.ReLU(), "weight") is None
    assert effective_weight(nn.Linear(3, 4, bias=False), "bias") is None


def test_a_property_of_the_class_is_read_without_drawing():
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.full = nn.Parameter(torch.ones(4, 3))

        @property
        def weight(self) -> Tensor:
            return self.full * torch.rand(())

    layer, drawn = Noisy(), randomness()
    weight = cast(Tensor, effective_weight(layer, "weight"))
    assert randomness() == drawn and torch.equal(weight, layer.weight)


def test_hooks_of_a_parametrization_and_what_it_cannot_copy_are_left_alone():
    class Holds(nn.Module):
        def __init__(self, other: nn.Module) -> None:
            super().__init__()
            self.kept = [other, threading.Lock()]
            self.itself = self.forward

        def forward(self, weight: Tensor) -> Tensor:
            return weight * self.kept[0].weight.sum()

    other, layer = nn.Linear(2, 2), nn.Linear(6, 5)
    holds, calls = Holds(other), []
    parametrize.register_parametrization(layer, "weight", holds)
    holds.register_forward_hook(lambda *args: calls.append(1))
    weight = effective_weight(layer, "weight")
    assert not calls and torch.equal(weight, layer.weight) and len(calls) == 1
    weight.sum().backward()  # through the other module as well
    assert other.weight.grad is not None


# torch's own tracer warns of what it does
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_plain_weights_are_read_inside_a_compiled_step_without_a_break():
    model = nn.Sequential(nn.Linear(4, 6), nn.Conv1d(1, 3, 2))
    penalty = WeightCorrelationPenalty(model)
    compiled = torch.compile(penalty, backend="aot_eager", fullgraph=True)
    assert compiled().item() == pytest.approx(penalty().item())
    torch.compiler.reset()
