"""Where samples come from, and that nothing else of the model changes."""

import pytest
import torch
from torch import nn

import cofire
from cofire.papers.training.models import mlp
from cofire.record import Measure
from cofire.record.sampling import Reservoir


def rows_of(x: torch.Tensor) -> dict[str, float]:
    return {"rows": len(x), "sum": float(x.double().sum())}


def recorded(rows: list, name: str) -> list[float]:
    return [row.value for row in rows if row.measure == name]


def test_a_reservoir_keeps_each_row_as_often() -> None:
    kept = torch.zeros(50)
    for seed in range(400):
        reservoir = Reservoir(10, seed)
        for batch in torch.arange(50.0)[:, None].split(7):
            reservoir.update(batch)
        samples = reservoir.samples()
        assert samples is not None and len(samples) == 10
        assert torch.equal(samples, samples.sort(0).values)
        kept[samples[:, 0].long()] += 1
    assert kept.sum() == 4000
    assert (kept - 80).abs().max() < 5 * (400 * 0.2 * 0.8) ** 0.5


def test_reservoirs_of_one_seed_keep_the_same_rows_however_they_are_cut() -> None:
    x = torch.randn(300, 2)
    whole, parts = Reservoir(40, 3).update(x), Reservoir(40, 3)
    for part in x.split([1, 100, 0, 199]):
        parts.update(part)
    assert torch.equal(whole.samples(), parts.samples())  # pyright: ignore


def test_evaluation_between_steps_does_not_count() -> None:
    model, rows = mlp([9, 6, 2]), []
    with cofire.Tracker(model, [Measure(rows_of, sites="hidden1")], every=1, sink=rows.extend) as tracker:
        model(torch.randn(8, 9))
        model.eval()
        model(torch.randn(100, 9))
        model.train()
        tracker.step()
    assert recorded(rows, "rows") == [8]


def test_gradient_accumulation_counts_all_its_batches() -> None:
    model, rows = mlp([9, 6, 2]), []
    with cofire.Tracker(model, [Measure(rows_of, sites="hidden1")], every=2, sink=rows.extend) as tracker:
        for _ in range(4):
            for size in (8, 3):
                model(torch.randn(size, 9)).sum().backward()
            tracker.step()
    assert recorded(rows, "rows") == [11, 11]


def test_a_window_puts_batches_together_and_resumes_within_it() -> None:
    def batches(model: nn.Module, tracker: cofire.Tracker, sizes: range) -> None:
        for size in sizes:
            model(torch.ones(size, 9))
            tracker.step()

    model, whole, parts = mlp([9, 6, 2]), [], []
    measures = [Measure(rows_of, sites="hidden1")]
    with cofire.Tracker(model, measures, every=3, window=2, sink=whole.extend) as tracker:
        batches(model, tracker, range(1, 7))
    with cofire.Tracker(model, measures, every=3, window=2, sink=parts.extend) as tracker:
        batches(model, tracker, range(1, 3))
        state = tracker.state_dict()
    with cofire.Tracker(model, measures, every=3, window=2, sink=parts.extend) as tracker:
        tracker.load_state_dict(state)
        batches(model, tracker, range(3, 7))
    assert recorded(whole, "rows") == recorded(parts, "rows") == [5, 11]
    assert recorded(whole, "sum") == recorded(parts, "sum")


def test_hooks_are_there_only_at_the_first_pass_and_before_steps_that_are_due() -> None:
    model = mlp([9, 6, 2])
    hooked = []
    with cofire.Tracker(model, [Measure(rows_of)], every=3, sink=len) as tracker:
        for _ in range(6):
            hooked.append(any(module._forward_hooks for module in model.modules()))
            model(torch.randn(4, 9))
            tracker.step()
    assert hooked == [True, False, True, False, False, True]  # the first pass shows how the model is wired
    assert not any(module._forward_hooks for module in model.modules())


PROBES = {
    "tensor": torch.ones(7, 9),
    "array": torch.ones(7, 9).numpy(),
    "batches": [torch.ones(4, 9), torch.ones(3, 9)],
    "pairs": [(torch.ones(7, 9), torch.zeros(7))],
    "keywords": [{"input": torch.ones(7, 9)}],
}


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_probe_sets_come_in_several_forms(probe) -> None:
    rows = []
    with cofire.Tracker(mlp([9, 6, 2]), [Measure(rows_of, sites="hidden1")], probe=probe, sink=rows.extend):
        pass
    assert recorded(rows, "rows") == [7]


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        (torch.ones(0, 9), "empty"),
        (iter([1]), "only once"),
        ("text", "got str"),
        (5, "got int"),
        ({}, "got dict"),
        ([], "no batch"),
    ],
)
def test_other_probe_sets_are_refused(probe, says) -> None:
    with pytest.raises(ValueError, match=says):
        cofire.Tracker(mlp([9, 6, 2]), [Measure(rows_of)], probe=probe)


def test_a_probe_that_fails_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(9, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="shape") as told:
        cofire.Tracker(model, [Measure(rows_of)], probe=[torch.ones(5, 9), torch.ones(5, 8)])
    assert "batch 1 of the probe set" in told.value.__notes__[0]
    assert model.training and model[1].training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class Sampling(nn.Module):
    """Draws from generators of its own, of which it makes the second in its second pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.first = nn.Linear(9, 6), torch.Generator()
        self.n_passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.n_passes += 1
        if self.n_passes == 2:
            self.second = torch.Generator()
        drawn = [torch.rand(6, generator=one) for one in (self.first, getattr(self, "second", self.first))]
        return self.layer(x) + sum(drawn)


def test_a_probe_leaves_the_models_own_generators_where_they_are() -> None:
    model, x = Sampling(), torch.ones(7, 9)
    with cofire.Tracker(model, [Measure(rows_of)], every=1, probe=x, sink=lambda rows: None) as tracker:
        for _ in range(3):
            model(x)
            before = [model.first.get_state(), model.second.get_state()]
            tracker.step()
            assert all(map(torch.equal, before, [model.first.get_state(), model.second.get_state()]))
