"""Two networks run side by side, and what is left behind when one of them fails."""

import threading
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.shrinking import shrink
from cofire.nets.shrinking.refit.lockstep import in_lockstep

PASSES: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _none_left():
    PASSES.clear()
    before = threading.active_count()
    yield
    assert threading.active_count() == before


class Net(nn.Module):
    """Three readers in a row; keeps its input while it runs, and counts its passes."""

    def __init__(self, name: str = "net") -> None:
        super().__init__()
        self.name = name
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        PASSES[self.name] += 1
        self.kept = x
        x = self.c(torch.relu(self.b(torch.relu(self.a(x)))))
        if len(self.kept) != len(x):
            raise AssertionError("another pass has put its input here")
        return x


class Branching(Net):
    """Skips its second layer where the inputs are negative."""

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.a(x))
        return self.c(self.b(h) if float(x[0, 0]) > 0 else h)


READERS = ["a.weight", "b.weight", "c.weight"]
BATCHES = [torch.randn(n, 3) for n in (2, 3, 4, 5)]


def side_by_side(nets, batches, readers, solve):
    in_lockstep(nets, batches, readers, solve, {})


def test_each_network_runs_once_over_each_batch_however_many_readers_there_are():
    solved = []

    def solve(name, passes):
        solved.append((name, [number for number, _, _ in passes]))
        for number, first, second in passes:
            assert len(first.one.data) == len(second.one.data) == len(BATCHES[number])
            assert first.output is not None and second.output is None

    side_by_side((Net("old"), Net("new")), BATCHES, READERS, solve)
    assert {"old": len(BATCHES), "new": len(BATCHES)} == PASSES
    assert solved == [(name, [0, 1, 2, 3]) for name in READERS]


def test_what_is_solved_at_a_reader_is_what_the_rest_of_the_pass_sees():
    old, new = Net(), Net()
    inputs = {}

    def solve(name, passes):
        inputs[name] = torch.cat([second.one.data for _, _, second in passes])
        with torch.no_grad():
            new.get_parameter(name).fill_(0.5)

    side_by_side((old, new), BATCHES, READERS, solve)
    x = torch.cat(BATCHES)
    with torch.no_grad():
        assert torch.equal(inputs["a.weight"], x)
        torch.testing.assert_close(inputs["b.weight"], torch.relu(new.a(x)))
        torch.testing.assert_close(inputs["c.weight"], torch.relu(new.b(torch.relu(new.a(x)))))


def test_batches_that_skip_a_reader_are_left_out_of_it():
    batches = [torch.tensor([[sign, 0.0, 0.0]]) for sign in (1.0, -1.0, 1.0, -1.0)]
    solved = {}

    def solve(name, passes):
        solved[name] = [number for number, _, _ in passes]

    side_by_side((Branching(), Branching()), batches, READERS, solve)
    assert solved == {"a.weight": [0, 1, 2, 3], "b.weight": [0, 2], "c.weight": [0, 1, 2, 3]}


def test_a_reader_that_one_network_skips_has_no_pass():
    old, new = Branching(), Branching()
    solved = {}

    def solve(name, passes):
        solved[name] = len(passes)
        if name == "a.weight":
            for _, _, second in passes:
                second.one.data.neg_()  # the smaller network goes the other way

    batches = [torch.tensor([[1.0, 0.0, 0.0]])]
    side_by_side((old, new), batches, READERS, solve)
    assert solved == {"a.weight": 1, "b.weight": 0, "c.weight": 1}


class Failing(Net):
    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.a(x))
        if len(x) == 4:
            raise KeyError("the third batch")
        return self.c(self.b(h))


class Stubborn(Net):
    """Tries again whatever went wrong."""

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.a(x))
        try:
            return self.b(h)
        except:  # noqa: E722
            return self.b(h) + 1


@pytest.mark.parametrize("nets", [(Failing(), Net()), (Net(), Failing()), (Failing(), Failing())])
def test_what_a_forward_raises_comes_out(nets):
    with pytest.raises(KeyError, match="the third batch"):
        side_by_side(nets, BATCHES, READERS, lambda name, passes: None)


@pytest.mark.parametrize("make", [Net, Stubborn])
def test_what_a_solution_raises_comes_out(make):
    def solve(name, passes):
        if name == "b.weight":
            raise ArithmeticError("no solution")

    with pytest.raises(ArithmeticError, match="no solution"):
        side_by_side((make(), make()), BATCHES, READERS, solve)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("switch", [False, True])
@pytest.mark.parametrize("make", [Net, lambda: nn.LSTM(3, 4)])
def test_switches_are_as_before(fails, switch, make):
    def solve(name, passes):
        assert not torch.is_grad_enabled() or fails
        if fails:
            raise ArithmeticError

    before = torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mkldnn.enabled = switch
        torch.backends.mha.set_fastpath_enabled(switch)
        with torch.set_grad_enabled(switch):
            names = READERS if make is Net else ["weight_ih_l0"]
            try:
                side_by_side((make(), make()), BATCHES, names, solve)
            except ArithmeticError:
                assert fails
            assert torch.is_grad_enabled() == switch
        assert torch.backends.mkldnn.enabled == switch
        assert torch.backends.mha.get_fastpath_enabled() == switch
    finally:
        torch.backends.mkldnn.enabled = before[0]
        torch.backends.mha.set_fastpath_enabled(before[1])


def test_no_gradients_and_no_modes_of_the_caller_reach_the_passes():
    seen = []

    class Asks(Net):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
            return super().forward(x)

    with torch.inference_mode():
        side_by_side((Asks(), Asks()), BATCHES, READERS, lambda name, passes: None)
    assert set(seen) == {(False, False)} and len(seen) == 2 * len(BATCHES)


def test_building_a_smaller_network_runs_each_once_over_each_batch():
    """Refitting costs one pass of both networks, not one for each reader."""

    def passes(depth: int) -> int:
        class Deep(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.Sequential(*(m for _ in range(depth) for m in (nn.Linear(6, 6), nn.ReLU())))

            def forward(self, x: Tensor) -> Tensor:
                PASSES["deep"] += 1
                return self.layers(x)

        PASSES.clear()
        names = {f"layers.{2 * k}": 4 for k in range(depth - 1)}
        found = shrink(Deep(), torch.randn(90, 6), keep=names)
        assert len(found.cuts) == depth - 1
        return PASSES["deep"]

    assert passes(6) == passes(9)  # whose curves have as many points
