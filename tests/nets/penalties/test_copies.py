"""Penalties are copied and saved together with their model; closed, they let it go."""

import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cofire.nets.capturing.capture import Capture, capture
from cofire.nets.penalties import ActivationPenalty, CorrelationPenalty, DeCovPenalty, WeightCorrelationPenalty

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


class Owner(nn.Module):
    """A model with a penalty on a part of it, or on itself, made before or after the layers."""

    def __init__(self, watches: str = "body") -> None:
        super().__init__()
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
        if watches == "body first":
            self.penalty = CorrelationPenalty(body, "0", weight=0.3)
        self.body = body
        if watches == "body":
            self.penalty = CorrelationPenalty(body, "0", weight=0.3)
        if watches == "itself":
            self.penalty = CorrelationPenalty(self, "body.0", weight=0.3, mask=keep)
        self.watches = watches

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)

    def expected(self, x: Tensor) -> Tensor:
        x = x[::2] if self.watches == "itself" else x
        return 0.3 * CorrelationPenalty().of(
            torch.tanh(nn.functional.linear(x, self.body[0].weight, self.body[0].bias))
        )


class OwnerOfWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.penalty = WeightCorrelationPenalty(self.body)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def keep(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return torch.arange(len(args[0])) % 2 == 0


def saved(model: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "save": saved,
    "averaged": lambda model: AveragedModel(model).module,
    "copy of a copy": lambda model: saved(copy.deepcopy(model)),
}


@pytest.mark.parametrize("watches", ["body", "body first", "itself"])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_copied_model_has_a_penalty_of_its_own(copied, watches, when):
    model = Owner(watches)
    if when == "after":
        (model(X).sum() + model.penalty()).backward()
    twin = copied(model)
    with torch.no_grad():
        twin.body[0].weight.mul_(2)
    model(X)
    with pytest.raises(RuntimeError, match="copy of a penalty has seen no model run"):
        twin.penalty()
    twin(2 * X)
    twin(3 * X)
    for one, x in ((model, X), (twin, 3 * X)):
        one.zero_grad()
        found = one.penalty()
        torch.testing.assert_close(found, one.expected(x))
        found.backward()
        gradient = one.body[0].weight.grad
        wanted = torch.autograd.grad(one.expected(x), one.body[0].weight)[0]
        torch.testing.assert_close(gradient, wanted)
    assert twin.penalty.n_steps == model.penalty.n_steps


def test_the_first_call_of_a_copy_counts_whole_and_the_model_runs_once():
    model = Owner("itself")
    calls = []
    model.body.register_forward_hook(lambda *args: calls.append(1))
    model(X)
    twin = copy.deepcopy(model)
    calls.clear()
    twin(X)
    assert len(calls) == 1
    torch.testing.assert_close(twin.penalty(), twin.expected(X))
    model(2 * X)
    torch.testing.assert_close(twin.penalty(), twin.expected(X))
    torch.testing.assert_close(model.penalty(), model.expected(2 * X))


def test_training_is_the_same_whether_copies_are_made_or_not():
    def trained(*, copies: bool) -> dict[str, Tensor]:
        model = Owner()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        average = AveragedModel(model) if copies else None
        for _ in range(5):
            optimizer.zero_grad()
            (model(X).square().mean() + model.penalty()).backward()
            optimizer.step()
            if average is not None:
                average.update_parameters(model)
                average(X)
                average.module.penalty()
                copy.deepcopy(model)
        return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}

    one, other = trained(copies=False), trained(copies=True)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_penalty_copied_alone_watches_nothing_and_takes_no_model_along():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
    penalty = CorrelationPenalty(model, "0")
    model(X)
    penalty()
    alone = copy.deepcopy(penalty)
    assert len(pickle.dumps(penalty)) < 4000 + 10 * sum(one.numel() for one in model[0].parameters())
    model(X)
    with pytest.raises(RuntimeError, match="if it was copied alone, it watches nothing: make a new penalty"):
        alone()
    assert torch.equal(alone(X), penalty(X)) and alone.n_steps == penalty.n_steps


def test_a_model_copied_without_its_penalty_runs_as_it_did():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
    penalty = CorrelationPenalty(model, "0")
    model(X)
    for copied in COPIES.values():
        twin = copied(model)
        assert torch.equal(twin(2 * X), model(2 * X))
        compiled = torch.compile(copied(model), backend="eager", fullgraph=True)
        model(X)
        assert torch.equal(penalty(), CorrelationPenalty()(model(X)))
        assert torch.equal(compiled(2 * X), model(2 * X))
    penalty.close()
    torch.compiler.reset()
    twin = torch.compile(
        copy.deepcopy(model), backend="eager", fullgraph=True
    )  # hooks that stay do not break the graph
    assert torch.equal(twin(X), model(X))


def test_a_closed_penalty_stays_closed_in_a_copy():
    model = Owner()
    model.penalty.close()
    twin = copy.deepcopy(model)
    twin(X)
    with pytest.raises(RuntimeError, match="this penalty is closed"):
        twin.penalty()
    assert not twin.body._forward_hooks and not twin.body._forward_pre_hooks


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_penalty_on_weights_follows_its_model(copied):
    model = OwnerOfWeights()
    (model(X).sum() + model.penalty()).backward()
    model.zero_grad()
    twin = copied(model)
    twin.penalty().backward()
    assert twin.body.weight.grad.any() and model.body.weight.grad is None


def test_a_process_group_is_shared_by_copies(tmp_path):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        penalty = DeCovPenalty(synchronize=torch.distributed.group.WORLD)
        twin = copy.deepcopy(penalty)
        assert twin.synchronize is penalty.synchronize and torch.equal(twin(X), penalty(X))
    finally:
        torch.distributed.destroy_process_group()


def closed_penalty(model: nn.Module) -> object:
    penalty = CorrelationPenalty(model, "0")
    (model(X).sum() + penalty()).backward()
    penalty.close()
    return penalty


def closed_weights(model: nn.Module) -> object:
    penalty = WeightCorrelationPenalty(model)
    penalty()
    penalty.close()
    return penalty


def ended_capture(model: nn.Module) -> object:
    with capture(model, "0") as activations:
        model(X)
    return activations


def detached(model: nn.Module) -> object:
    recording = Capture(model, "0")
    recording.attach()
    model(X)
    recording.detach()
    return recording.activations


@pytest.mark.parametrize("watch", [closed_penalty, closed_weights, ended_capture, detached])
def test_what_is_closed_lets_the_model_go(watch):
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    kept = watch(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None and kept is not None


def test_the_law_holds_for_penalties_of_the_users_own():
    class Mine(ActivationPenalty):
        def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
            return x.square().mean()

    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
    both = nn.ModuleList([model, Mine(model, "0")])
    model(X)
    both[1]()
    twin = copy.deepcopy(both)
    twin[0](2 * X)
    assert torch.equal(twin[1](), model(2 * X).square().mean())
