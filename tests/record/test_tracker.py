import numpy as np
import pytest
import torch
from torch import nn

import cofire
from cofire.papers.zoo import mlp
from cofire.record import Measure, Run, correlation, epsilon, weight_correlation
from cofire.record.schedule import as_schedule
from cofire.stats import neuronal_correlation


def trained(tracker: cofire.Tracker, model: nn.Module, steps: int) -> list[torch.Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    for _ in range(steps):
        x = torch.randn(32, 9)
        seen.append(x)
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        tracker.step()
    return seen


def test_training_batches_give_what_the_forward_pass_of_that_step_saw() -> None:
    model, rows = mlp([9, 6, 2]), []
    twin = mlp([9, 6, 2])
    with cofire.Tracker(model, measures=[correlation(sites="hidden1")], every=1, sink=rows.extend) as tracker:
        (x,) = trained(tracker, model, 1)
    expected = neuronal_correlation(torch.relu(twin.get_submodule("hidden1")(x))).mean_abs
    assert {row.step for row in rows} == {1}
    assert next(row.value for row in rows if row.measure == "nc") == pytest.approx(expected, abs=1e-12)


def test_probe_leaves_model_and_randomness_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(9, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    rows = []
    with cofire.Tracker(
        model, [correlation()], every=1, probe=torch.randn(40, 9, generator=torch.Generator()), sink=rows.extend
    ):
        pass
    assert {row.step for row in rows} == {0}
    assert model.training and all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_rows_reach_the_run_directory_and_come_back(tmp_path) -> None:
    model = mlp([9, 6, 5, 2])
    measures = [correlation(), weight_correlation(), epsilon()]
    with cofire.Tracker(model, measures=measures, run=tmp_path / "a", every=2) as tracker:
        trained(tracker, model, 5)
    with Run.open(tmp_path / "a") as run:
        assert {row.step for row in run.rows()} == {2, 4}
        assert {row.site for row in run.rows()} == {"hidden1", "hidden2", "output"}
        named = {row.measure for row in run.rows()}
        assert {"nc", "nc_debiased", "nc_noise_floor", "wc", "wc_signed", "epsilon", "n_constant"} <= named
        assert run.array("hidden1", "histogram").shape == (50,)
        assert set(run.left_out) == {"flatten"}
        assert len(run.frame()) == len(run.rows())


def test_a_plain_function_is_a_measure() -> None:
    def spread(x: torch.Tensor) -> float:
        return float(x.std())

    rows, model = [], mlp([9, 6, 2])
    with cofire.Tracker(model, measures=[Measure(spread, sites="hidden*")], every=1, sink=rows.extend) as tracker:
        trained(tracker, model, 1)
    assert [(row.site, row.measure) for row in rows] == [("hidden1", "spread")]


@pytest.mark.parametrize(
    ("every", "due"), [(3, [3, 6, 9]), ([0, 4], [4]), ("epoch", []), (cofire.record.GeometricSteps(2), [1, 2, 4, 8])]
)
def test_schedules(every: object, due: list[int]) -> None:
    schedule = as_schedule(every)
    assert [step for step in range(1, 11) if schedule.due(step, epoch_end=False)] == due


@pytest.mark.parametrize("every", [0, -1, 2.5, "sometimes", True])
def test_bad_schedules_are_refused(every: object) -> None:
    with pytest.raises(ValueError):
        as_schedule(every)


def test_a_site_that_saw_no_forward_pass_is_an_error() -> None:
    tracker = cofire.Tracker(mlp([9, 6, 2]), measures=[correlation()], every=1)
    with pytest.raises(ValueError):
        tracker.step()
    tracker.close()


def test_wrong_arguments_say_so() -> None:
    with pytest.raises(ValueError, match=r"torch\.nn\.Module"):
        cofire.Tracker(3, measures=[])  # pyright: ignore
    with pytest.raises(ValueError, match=r"no layer|match"):
        cofire.Tracker(mlp([9, 6, 2]), measures=[correlation(sites="hiden1")])


def test_values_of_the_matrix_are_those_of_numpy(tmp_path) -> None:
    model = mlp([9, 6, 2])
    x = torch.randn(50, 9)
    with cofire.Tracker(model, [correlation(sites="hidden1")], run=tmp_path / "a", every=1, probe=x):
        pass
    with Run.open(tmp_path / "a") as run:
        found = run.array("hidden1", "correlation").astype(float)
    units = torch.relu(model.get_submodule("hidden1")(x)).detach().double().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        np.testing.assert_allclose(found, np.corrcoef(units.T), atol=1e-3)
