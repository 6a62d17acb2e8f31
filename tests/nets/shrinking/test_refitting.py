"""Readers of a smaller network against ridge regressions done by hand, layer by layer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.loading.eval_mode import evaluating
from cofire.nets.shrinking import shrink
from cofire.nets.shrinking.cutting import cut_out
from cofire.nets.shrinking.free_groups import structure
from cofire.nets.shrinking.refit.refitting import Refitting
from cofire.nets.shrinking.refit.ridge import Normal, refit
from cofire.nets.surgery.copies import copied
from cofire.nets.surgery.output_change import output_error


def refitted(model: nn.Module, batches: list[Tensor], keep: dict[str, list[int]]) -> tuple[nn.Module, Refitting]:
    model.eval()
    found = structure(model, batches[0])
    units = {found.groups[name].leaf: torch.tensor(kept) for name, kept in keep.items()}
    smaller = copied(model)
    cut_out(smaller, found, units)
    with evaluating(smaller):
        refitting = Refitting(model, smaller, found, units, batches)
        refitting.run()
    return smaller, refitting


def by_hand(inputs: list[Tensor], wanted: list[Tensor], old: Tensor, *, constant: bool) -> tuple[Tensor, Tensor | None]:
    """Return the ridge regression in which every fifth batch chooses."""
    fit, held = (Normal.empty(inputs[0].shape[1], wanted[0].shape[1]) for _ in range(2))
    for number, (x, y) in enumerate(zip(inputs, wanted, strict=True)):
        (held if number % 5 == 4 else fit).add(x, y)
    found = refit(fit, held, old, constant=constant)
    return found.weight, found.constant


@torch.no_grad()
def test_each_layer_is_fitted_on_what_the_smaller_network_gives_it():
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 2, bias=False)).double()
    batches = list(torch.randn(60, 3, dtype=torch.float64).split(6))
    smaller, refitting = refitted(model, batches, {"0": [0, 2, 3, 5, 6], "2": [1, 2, 4, 6]})
    h = [torch.relu(smaller[0](x)) for x in batches]
    wanted = [model[:3](x)[:, [1, 2, 4, 6]] for x in batches]
    old = model[2].weight[[1, 2, 4, 6]][:, [0, 2, 3, 5, 6]]
    weight, bias = by_hand(h, wanted, old, constant=True)
    torch.testing.assert_close(smaller[2].weight.data, weight)
    torch.testing.assert_close(smaller[2].bias.data, bias)
    h = [torch.tanh(smaller[2](x)) for x in h]
    weight, _ = by_hand(h, [model(x) for x in batches], model[4].weight[:, [1, 2, 4, 6]], constant=False)
    torch.testing.assert_close(smaller[4].weight.data, weight)
    assert set(refitting.ridges) == {"2.weight", "4.weight"}
    assert torch.equal(smaller[0].weight, model[0].weight[[0, 2, 3, 5, 6]])


@torch.no_grad()
def test_the_batch_norm_behind_a_convolution_takes_the_constant_up():
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3, bias=False), nn.BatchNorm2d(4))
    model.append(nn.Conv2d(4, 2, 1)).double()
    for _ in range(20):
        model(torch.randn(9, 2, 8, 8, dtype=torch.float64))
    batches = list(torch.randn(40, 2, 8, 8, dtype=torch.float64).split(4))
    smaller, _ = refitted(model, batches, {"0": [0, 1, 3, 5]})
    windows = lambda x: nn.functional.unfold(x, 3).transpose(1, 2).flatten(0, 1)  # noqa: E731
    rows = [windows(smaller[:2](x)) for x in batches]
    wanted = [model[:3](x).movedim(1, -1).reshape(-1, 4) for x in batches]
    weight, constant = by_hand(rows, wanted, model[2].weight[:, [0, 1, 3, 5]].flatten(1), constant=True)
    torch.testing.assert_close(smaller[2].weight.flatten(1), weight)
    assert constant is not None
    torch.testing.assert_close(smaller[3].running_mean, model[3].running_mean - constant)
    for name in ("running_var", "weight", "bias"):
        torch.testing.assert_close(getattr(smaller[3], name), getattr(model[3], name))


class Added(nn.Module):
    """A product that is added to what no constant may change."""

    def __init__(self, add: Callable[["Added", Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.beside = nn.Linear(4, 12), nn.Linear(4, 3)
        self.w, self.w3 = nn.Parameter(torch.randn(12, 3) * 0.3), nn.Parameter(torch.randn(2, 12, 3) * 0.3)
        self.b, self.b3 = nn.Parameter(torch.full((3,), 9.0)), nn.Parameter(torch.full((2, 1, 3), 9.0))
        self.norm, self.bare = nn.BatchNorm1d(3), nn.Linear(12, 3, bias=False)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        return self.add(self, x, torch.relu(self.inner(x)))


def normed_and_not(net: Added, x: Tensor, h: Tensor) -> Tensor:
    y = net.bare(h)
    return torch.cat([net.norm(y), y], 1)


ADDITIONS = {
    "a stream": lambda net, x, h: torch.addmm(net.beside(x) + 9, h, net.w),
    "a scaled product": lambda net, x, h: torch.addmm(net.b, h, net.w, alpha=0.5),
    "a scaled bias": lambda net, x, h: torch.addmm(net.b, h, net.w, beta=2),
    "a bias of batches": lambda net, x, h: torch.baddbmm(net.b3, torch.stack([h, h]), net.w3).transpose(0, 1),
    "a shared bias": lambda net, x, h: torch.addmm(net.b, h, net.w) * net.b,
    "a norm and more": normed_and_not,
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_a_product_is_fitted_without_what_is_added_to_it(name):
    torch.manual_seed(3)
    model, x = Added(ADDITIONS[name]).double(), torch.randn(400, 4, dtype=torch.float64)
    for _ in range(30):
        model(x)
    model.eval()
    with torch.no_grad():
        model.inner.weight[3], model.inner.bias[3] = 2 * model.inner.weight[0], 2 * model.inner.bias[0]
        model.inner.weight[5] = 0.0
        model.inner.bias[5] = 0.0
    exact = shrink(model, x, keep={"inner": 10})
    assert exact.measured < 1e-5
    half = shrink(model, x, keep={"inner": 8})
    assert half.predicted is not None
    assert half.measured == pytest.approx(half.predicted, rel=0.3)  # what is predicted has no constants to go wrong


def test_a_weight_that_is_used_twice_is_fitted_on_all_its_inputs():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 8, bias=False)
            self.out = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.first(x))
            return self.out(torch.tanh(self.second(torch.tanh(self.second(h).mul_(0.5)))))

    model = Twice().double()
    batches = list(torch.randn(60, 3, dtype=torch.float64).split(6))
    kept = [0, 1, 2, 4, 5, 7]
    smaller, refitting = refitted(model, batches, {"first": kept})
    assert "second.weight" in refitting.ridges
    with torch.no_grad():
        inputs, wanted = [], []
        for x in batches:
            h = torch.tanh(model.first(x))
            again = torch.tanh(0.5 * model.second(h))
            inputs.append(torch.cat([h, again])[:, kept])
            wanted.append(torch.cat([model.second(h), model.second(again)])[:, kept])
        weight, _ = by_hand(inputs, wanted, model.second.weight[kept][:, kept], constant=False)
    torch.testing.assert_close(smaller.second.weight.data, weight)


def test_an_lstm_whose_inputs_are_copies_is_refitted_exactly():
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.lstm, self.out = nn.Linear(3, 6), nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.lstm(torch.tanh(self.inner(x)))[0])

    model = Recurrent().double()
    with torch.no_grad():
        model.inner.weight[2], model.inner.bias[2] = -model.inner.weight[0], -model.inner.bias[0]
    batches = list(torch.randn(60, 4, 3, dtype=torch.float64).split(6))
    smaller, refitting = refitted(model, batches, {"inner": [1, 2, 3, 4, 5]})
    assert output_error(model, smaller, batches).relative < 1e-6
    assert "lstm.weight_ih_l0" in refitting.ridges


def test_an_expert_without_rows_keeps_its_weight_and_the_others_are_fitted():
    class Experts(nn.Module):
        """The rows of a batch go to one of three experts."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.w = nn.Linear(4, 16), nn.Parameter(torch.randn(3, 16, 4))

        def forward(self, x: Tensor) -> Tensor:
            ends = torch.tensor([len(x) // 2, len(x), len(x)], dtype=torch.int32)
            return torch._grouped_mm(torch.relu(self.inner(x)), self.w, ends)

    model = Experts()
    batches = list(torch.randn(200, 4).split(20))
    kept = list(range(12))
    smaller, _ = refitted(model, batches, {"inner": kept})
    assert torch.equal(smaller.w[2], model.w[2, kept])
    assert not torch.equal(smaller.w[0], model.w[0, kept])
    plain = copied(model)
    found = structure(model, batches[0])
    cut_out(plain, found, {found.groups["inner"].leaf: torch.tensor(kept)})
    assert output_error(model, smaller, batches).rms < 0.7 * output_error(model, plain, batches).rms


def test_readers_with_few_rows_are_named():
    model = nn.Sequential(nn.Linear(3, 30), nn.Tanh(), nn.Linear(30, 2))
    assert refitted(model, list(torch.randn(40, 3).split(4)), {"0": list(range(20))})[1].few == ["2.weight"]
    assert refitted(model, list(torch.randn(400, 3).split(40)), {"0": list(range(20))})[1].few == []


def test_one_batch_leaves_nothing_to_choose_by_and_the_old_weights_stay():
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    smaller, _ = refitted(model, [torch.randn(40, 3)], {"0": [0, 1, 2]})
    assert torch.equal(smaller[2].weight, model[2].weight[:, [0, 1, 2]])
    assert torch.equal(smaller[2].bias, model[2].bias)


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_features_far_from_zero_are_fitted_as_well(mean):
    """Sums of float32 about 0 would lose a variance of 1 beside a mean of 10,000."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight[5] = model[0].weight[1] + model[0].weight[2]
        model[0].bias += mean
    batches = list(torch.randn(200, 3).split(20))
    smaller, _ = refitted(model, batches, {"0": [0, 1, 2, 3, 4, 6, 7]})
    assert output_error(model.double(), smaller.double(), [x.double() for x in batches]).relative < 5e-3


class Attention(nn.Module):
    """Attention that divides by the root of the heads' size by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 16)
        self.q, self.k, self.v, self.out = (nn.Linear(16, n) for n in (16, 16, 16, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        q, k, v = (f(h).unflatten(-1, (2, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).flatten(2))


def test_queries_that_hold_nothing_go_without_a_trace_though_all_others_grow():
    """The refit behind a cut one must not undo what makes up for the smaller number of queries and keys."""
    model = Attention().double()
    with torch.no_grad():
        for one in (model.q, model.k):
            rows = one.weight.view(2, 8, -1)
            rows[:, 5:] = 0
            one.bias.view(2, 8)[:, 5:] = 0
        model.inner.weight[12:] = model.inner.weight[:4]
        model.inner.bias[12:] = model.inner.bias[:4]
    x = torch.randn(120, 5, 6, dtype=torch.float64)
    found = shrink(model, x, keep={"inner": 12, "q[1]": 5})
    assert found.model.q.weight.shape == (10, 12)
    assert found.measured < 1e-4
    assert found.predicted is not None and found.predicted < 1e-3
