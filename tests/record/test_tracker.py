import gc
import warnings
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cofire
from cofire.papers.training.models import mlp
from cofire.record import Measure, NotMeasured, Run, correlation, entropy, epsilon, weight_correlation
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
        assert run.left_out == dict.fromkeys(["flatten", "act1", "act2"], "makes no units of its own")
        assert run.facts["outputs"] == ["output"] and run.facts["assumed"] == {}
        assert len(run.frame()) == len(run.rows())


def test_what_is_assumed_stands_in_the_run(tmp_path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("not followed")

    monkeypatch.setattr("cofire.nets.wiring.live_wiring.assemble", broken)
    monkeypatch.setattr("cofire.nets.wiring.live_wiring.wire_on_fakes", broken)
    model = mlp([9, 6, 2])
    with cofire.Tracker(model, [correlation(), weight_correlation()], run=tmp_path / "a", every=1) as tracker:
        trained(tracker, model, 2)
    with Run.open(tmp_path / "a") as run:
        assert {row.site for row in run.rows()} == {"hidden1", "output"}
        assert run.facts["assumed"].keys() == {"hidden1", "output"} and run.facts["outputs"] == []
        assert all("not followed" in reason for reason in run.facts["assumed"].values())


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


@pytest.mark.parametrize("every", [0, -1, 2.5, "sometimes", True, [], [1, -2]])
def test_bad_schedules_are_refused(every: object) -> None:
    with pytest.raises(ValueError):
        as_schedule(every)


@pytest.mark.parametrize("factor", [1, 0.5, float("nan"), float("inf"), "2", True])
def test_steps_grow_by_a_factor_above_one(factor: Any) -> None:
    with pytest.raises(ValueError, match="the factor between steps must be"):
        cofire.record.GeometricSteps(factor)


def test_a_step_without_a_forward_pass_is_an_error() -> None:
    model = mlp([9, 6, 2])
    tracker = cofire.Tracker(model, measures=[correlation()], every=1)
    with pytest.raises(ValueError, match=r"due at step 1: '\*'\. Is the model in eval mode"):
        tracker.step()  # no pass has shown which layers make units
    model(torch.randn(8, 9))
    tracker.step()
    with pytest.raises(ValueError, match=r"due at step 3: hidden1, output\. Is the model in eval mode"):
        tracker.step()
    tracker.close()
    with pytest.raises(ValueError, match="this tracker is closed; make another"):
        tracker.step()


class Skipping(nn.Module):
    """Runs its middle layer when it is told to, and its last never."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.unused = (nn.Linear(4, 4) for _ in range(3))
        self.skips = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return x if self.skips else self.middle(x)


def test_a_layer_that_is_skipped_is_told_of_once_and_training_goes_on() -> None:
    model, rows = Skipping(), []
    with cofire.Tracker(model, [correlation(), epsilon()], every=1, sink=rows.extend) as tracker:
        for model.skips, told in ((False, []), (True, ["middle"]), (True, []), (False, [])):
            model(torch.randn(8, 4))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                tracker.step()
            assert [str(one.message).partition(" similar steps: ")[2].partition(";")[0] for one in caught] == told
            assert all(one.category is NotMeasured for one in caught)
        assert tracker._plan.sites.left_out == {"unused": "never ran"}
    for measure in ("nc", "epsilon"):
        found = {(row.site, row.step) for row in rows if row.measure == measure}
        assert found == {("first", step) for step in (1, 2, 3, 4)} | {("middle", 1), ("middle", 4)}


def test_a_layer_that_was_asked_for_by_name_and_never_runs_is_told_of() -> None:
    model, rows = Skipping(), []
    with cofire.Tracker(model, [correlation(sites=["first", "unused"])], every=1, sink=rows.extend) as tracker:
        model(torch.randn(8, 4))
        with pytest.warns(NotMeasured, match="no rows at step 1, nor at similar steps: unused;"):
            tracker.step()
    assert {row.site for row in rows} == {"first"}


class FailsAtFirst(nn.Module):
    """Can be followed only in a real pass, and the first one fails."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.fails = nn.Linear(4, 3), True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.layout == torch.strided and type(x) is not torch.Tensor:
            raise TypeError("no fake tensors")
        y = self.layer(x)
        if self.fails:
            raise KeyError("my own error")
        return y


def test_an_error_in_the_first_pass_is_the_model_s_own_and_the_next_pass_is_recorded() -> None:
    model, rows = FailsAtFirst(), []
    with cofire.Tracker(model, [correlation(sites="layer")], every=1, sink=rows.extend) as tracker:
        with pytest.raises(KeyError, match="my own error"):
            model(torch.randn(8, 4))
        model.fails = False
        model(torch.randn(8, 4))
        tracker.step()
    assert {(row.site, row.n_samples) for row in rows if row.measure == "nc"} == {("layer", 8)}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_of_layers_that_showed_nothing_the_reason_is_told() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with cofire.Tracker(model, [correlation()], every=1, sink=lambda rows: None) as tracker:
        torch.func.vmap(model)(torch.randn(5, 3))
        with pytest.raises(ValueError, match=r"0 \(its output is one of many that torch\.func\.vmap"):
            tracker.step()


def test_each_unit_is_counted_once_and_a_layer_can_be_taken_away() -> None:
    """Normalizations and activation modules give what the layer before them gives."""
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2))

    def sites(**options: Any) -> set[str]:
        rows: list[Any] = []
        with cofire.Tracker(model, [correlation(**options)], every=1, sink=rows.extend) as tracker:
            model(torch.randn(8, 4))
            tracker.step()
        return {row.site for row in rows}

    assert sites() == {"0", "3", "5"}
    assert sites(sites="!3") == sites(sites=["!3"]) == {"0", "5"}
    assert sites(sites=["*", "!3"]) == {"0", "5"}
    assert sites(sites=["*", "1", "!3"]) == {"0", "1", "5"}  # a normalization, as it was asked for by name
    units, model = model, nn.Sequential(nn.ReLU())
    with pytest.raises(ValueError, match=r"no layer that ran makes units at '\*'; name the layers"):
        sites()
    with pytest.raises(ValueError, match=r"due at step 1: 0 \(its output shows units of no layer\)"):
        sites(sites="0")
    with pytest.raises(ValueError, match="leaves no layer to measure"):
        cofire.Tracker(units, [correlation(sites=["0", "!0"])], every=1, sink=list)


def test_wrong_arguments_say_so() -> None:
    with pytest.raises(ValueError, match=r"torch\.nn\.Module"):
        cofire.Tracker(3, measures=[correlation()])  # pyright: ignore
    with pytest.raises(ValueError, match=r"measures is empty.*such as cofire\.record\.correlation\(\)"):
        cofire.Tracker(mlp([9, 6, 2]), measures=[])
    with pytest.raises(ValueError, match=r"Measure\('correlation'.* alone; put it in brackets"):
        cofire.Tracker(mlp([9, 6, 2]), measures=correlation())  # pyright: ignore
    with pytest.raises(ValueError, match=r"no layer|match"):
        cofire.Tracker(mlp([9, 6, 2]), measures=[correlation(sites="hiden1")])


@pytest.mark.parametrize("seed", ["a", 1.5, -1, 2**63, True])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number from 0"):
        cofire.Tracker(mlp([9, 6, 2]), [correlation()], seed=seed)


def test_a_run_has_a_name() -> None:
    with pytest.raises(ValueError, match="run is a directory's path, got an empty one"):
        cofire.Tracker(mlp([9, 6, 2]), [correlation()], run="")


def test_an_error_in_a_measure_says_where() -> None:
    model = mlp([9, 6, 2])
    with cofire.Tracker(model, [Measure(lambda x: 1 / 0, sites="hidden1", name="broken")], every=1) as tracker:
        model(torch.randn(8, 9))
        with pytest.raises(ZeroDivisionError) as told:
            tracker.step()
    assert told.value.__notes__ == ["It was raised by the measure 'broken' at hidden1."]


def test_a_loop_that_catches_an_error_is_followed_on() -> None:
    def failing_once(x: torch.Tensor) -> float:
        calls.append(x)
        if len(calls) == 1:
            raise OSError("the disk is full")
        return 1.0

    calls, rows, model = [], [], mlp([9, 6, 2])
    measure = Measure(failing_once, sites="hidden1")
    with cofire.Tracker(model, [measure], every=1, sink=rows.extend) as tracker:
        model(torch.randn(8, 9))
        with pytest.raises(OSError, match="full"):
            tracker.step()
        model(torch.randn(8, 9))
        tracker.step()
    assert [row.step for row in rows] == [2]


def test_measures_work_in_inference_mode() -> None:
    with torch.inference_mode():
        x = torch.randn(30, 4)
        assert correlation().values((x,))["n_units"] == 4 and epsilon().values((x, x))["epsilon"] == 0


def test_objects_say_what_they_are(tmp_path) -> None:
    model = mlp([9, 6, 2])
    with cofire.Tracker(model, [correlation(), Measure(torch.std, sites="hidden1")], run=tmp_path / "a") as tracker:
        assert repr(tracker) == f"Tracker(step=0, epoch=0, measures=[correlation, std], run={str(tmp_path / 'a')!r})"
        assert repr(tracker._run) == f"WritableRun({str(tmp_path / 'a')!r})"
    with Run.open(tmp_path / "a") as run:
        assert repr(run) == f"Run({str(tmp_path / 'a')!r})"
        assert repr(run.table) == f"Rows({str(tmp_path / 'a' / 'rows.sqlite')!r})"
    tracker = cofire.Tracker(model, [correlation()], sink=list)
    assert repr(tracker) == "Tracker(step=0, epoch=0, measures=[correlation])"
    tracker.close()
    told = repr(Measure(torch.std, {"dim": 0}, sites="fc*", every=10, max_samples=5))
    assert (
        told
        == "Measure('std', parameters={'dim': 0}, sites='fc*', every=EverySteps(k=10), stage='post', max_samples=5)"
    )


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


GATES = ("reset", "update", "new")


class Twice(nn.Module):
    """A layer that runs twice in one forward pass, behind one of each kind that has several weights."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose1d(1, 4, 2)
        self.gru, self.attention = nn.GRU(4, 6, batch_first=True), nn.MultiheadAttention(6, 2, batch_first=True)
        self.shared = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, _ = self.gru(self.up(x[:, None]).transpose(1, 2))
        h, _ = self.attention(h, h, h)
        return self.shared(torch.relu(self.shared(h)))


def test_layers_that_run_twice_and_weights_of_every_kind() -> None:
    model, x = Twice(), torch.randn(32, 9)
    measures = [correlation(), weight_correlation(), epsilon()]
    pooled: list[Any] = []
    apart: list[Any] = []
    for rows, per_call in ((pooled, False), (apart, True)):
        with cofire.Tracker(model, measures, every=1, sink=rows.extend, per_call=per_call) as tracker:
            model(x)
            tracker.step()
        sites = {name: {row.site for row in rows if row.measure == name} for name in ("nc", "wc", "epsilon")}
        ran = {"up#0", "gru#0", "attention#0", "shared#0", "shared#1"}
        assert sites["nc"] == sites["epsilon"] == (ran if per_call else {"up", "gru", "attention", "shared"})
        weights = {"up", "shared", "attention.out_proj"}
        weights |= {f"attention.{part}" for part in ("query", "key", "value")}
        assert sites["wc"] == weights | {f"gru.{of}_l0.{gate}" for of in ("ih", "hh") for gate in GATES}
        assert all(np.isfinite(row.value) for row in rows if row.measure == "wc")
    n_samples = {row.site: row.n_samples for row in pooled + apart if row.measure == "nc"}
    assert (n_samples["shared"], n_samples["shared#0"], n_samples["shared#1"]) == (2 * 32 * 10, 32 * 10, 32 * 10)


def test_measures_that_ask_the_same_of_the_same_samples_work_it_out_once(monkeypatch) -> None:
    calls = []

    def counted(x: torch.Tensor, **keywords: object):
        calls.append(x)
        return neuronal_correlation(x, **keywords)

    monkeypatch.setattr("cofire.record.measures.correlation_measures.neuronal_correlation", counted)
    model, rows = mlp([9, 6, 2]), []
    measures = [correlation(sites="hidden1"), epsilon(sites="hidden1")]
    with cofire.Tracker(model, measures, every=1, sink=rows.extend) as tracker:
        trained(tracker, model, 2)
    assert len(calls) == 2 * 2
    calls.clear()
    x = torch.randn(20, 3)
    first = correlation().values((x,))["nc"]
    assert correlation().values((x.mul_(x),))["nc"] != first  # changed in place: no longer the same


@pytest.mark.parametrize("make", [correlation, partial(entropy, "kde_upper"), weight_correlation])
def test_a_layer_may_be_followed_more_closely_than_the_others(make, tmp_path) -> None:
    rows, model = [], mlp([9, 6, 5, 2])
    measures = [make(sites="hidden1", every=2), make(sites="*", every=3)]
    with cofire.Tracker(model, measures, run=tmp_path / "run", sink=rows.extend) as tracker:
        trained(tracker, model, 6)
    steps = {site: sorted({row.step for row in rows if row.site == site}) for site in ("hidden1", "hidden2")}
    assert steps == {"hidden1": [2, 3, 4, 6], "hidden2": [3, 6]}
    with Run.open(tmp_path / "run") as run:
        assert sorted(map(repr, run.rows())) == sorted(map(repr, (row._replace(run="run") for row in rows)))
        assert len(rows) == len({row[:6] for row in rows})


def _zero(x: torch.Tensor) -> float:
    return 0.0


NAMESAKES = {
    "statistic": [Measure(lambda x: 0.0, sites="0", name="mine"), Measure(_zero, name="mine")],
    "stage": [Measure(_zero, stage="weights", name="mine"), Measure(_zero, name="mine")],
    "arrays": [Measure(_zero, sites="0", name="mine"), Measure(_zero, name="mine", arrays=lambda x: {})],
}


def test_numbers_of_the_run_may_be_losses_and_nothing_else() -> None:
    rows, model = [], mlp([9, 6, 2])
    with cofire.Tracker(model, [correlation()], sink=rows.extend) as tracker:
        loss = model(torch.randn(4, 9)).square()
        tracker.log(loss=loss.mean(), epoch=np.float32(1))
        for wrong, says in (
            (loss, r"shape \(4, 2\) for 'loss'"),
            ("much", "'much' for 'loss'"),
            (None, "None for 'loss'"),
        ):
            with pytest.raises(ValueError, match=says):
                tracker.log(loss=wrong)
    assert [(row.measure, row.value) for row in rows] == [("loss", loss.mean().item()), ("epoch", 1.0)]


@pytest.mark.parametrize("measures", NAMESAKES.values(), ids=NAMESAKES)
def test_namesakes_that_differ_are_refused_before_training(measures) -> None:
    with pytest.raises(ValueError, match="two measures named 'mine' take different statistics, stages or arrays at 0"):
        cofire.Tracker(nn.Sequential(nn.Linear(3, 2)), measures)


def test_before_and_after_the_activation_function_are_two_sites() -> None:
    rows, model = [], mlp([9, 6, 2])
    measures = [correlation(sites="hidden1"), correlation(sites="hidden1", stage="pre")]
    with cofire.Tracker(model, measures, every=1, sink=rows.extend) as tracker:
        trained(tracker, model, 1)
    assert {row.site for row in rows} == {"hidden1", "hidden1:pre"}


def test_measures_that_overlap_keep_the_arrays_of_both(tmp_path) -> None:
    model = mlp([9, 6, 2])
    measures = [correlation(sites="hidden1", every=2), correlation(every=3)]
    with cofire.Tracker(model, measures, run=tmp_path / "run") as tracker:
        trained(tracker, model, 8)
    with Run.open(tmp_path / "run") as run:
        steps = {step for step, site, name in run.arrays() if (site, name) == ("hidden1", "histogram")}
    assert steps == {2, 3, 4, 6, 8}  # the 1st, 2nd, 4th of the one: 2, 4, 8; and 1st, 2nd of the other: 3, 6


def test_at_an_epochs_end_nothing_is_said_twice() -> None:
    rows, model = [], mlp([9, 6, 2])
    measures = [correlation(sites="hidden1", every=1), correlation(every="epoch")]
    with cofire.Tracker(model, measures, sink=rows.extend) as tracker:
        for _ in range(2):
            trained(tracker, model, 2)
            tracker.end_epoch()
    assert len(rows) == len({row[:6] for row in rows})
    assert {row.step for row in rows if row.site == "hidden1"} == {1, 2, 3, 4}


def test_arrays_that_wait_go_on_under_a_runs_new_name(tmp_path) -> None:
    model = mlp([9, 6, 2])
    with cofire.Tracker(model, [correlation()], run=tmp_path / "a", every=1) as tracker:
        trained(tracker, model, 3)
        state = tracker.state_dict()
    (tmp_path / "a").rename(tmp_path / "b")
    with cofire.Tracker(model, [correlation()], run=tmp_path / "b", every=1, state=state) as tracker:
        trained(tracker, model, 2)
    with Run.open(tmp_path / "b") as run:
        assert {(name, step) for name, step, *_ in run.table.arrays()} == {("b", step) for step in (1, 2, 4, 5)}


def test_the_last_arrays_are_kept_also_after_an_error(tmp_path) -> None:
    model = mlp([9, 6, 2])
    with (
        pytest.raises(KeyboardInterrupt),
        cofire.Tracker(model, [correlation(sites="hidden1")], run=tmp_path / "a", every=1) as tracker,
    ):
        trained(tracker, model, 3)
        raise KeyboardInterrupt
    with Run.open(tmp_path / "a") as run:
        assert {step for step, _, _ in run.arrays()} == {1, 2, 3}
    assert not any(module._forward_hooks for module in model.modules())
    tracker.close()


def test_weights_put_by_are_those_of_the_recording(tmp_path) -> None:
    model = mlp([9, 6, 2])
    kept = Measure(
        lambda w: float(w.sum()), sites="hidden1", stage="weights", name="kept", arrays=lambda w: {"weight": w}
    )
    with cofire.Tracker(model, [kept], run=tmp_path / "a", every=1) as tracker:
        trained(tracker, model, 3)
        before = model.get_submodule("hidden1").weight.detach().clone()
        trained(cofire.Tracker(model, [correlation()], every=100), model, 1)
    with Run.open(tmp_path / "a") as run:
        assert np.array_equal(run.array("hidden1", "weight", step=3), before.numpy())


def test_arrays_written_at_the_end_of_a_process_are_taken_back_on_resuming(tmp_path) -> None:
    model = mlp([9, 6, 2])
    with cofire.Tracker(model, [correlation(sites="hidden1")], run=tmp_path / "a", every=1) as tracker:
        trained(tracker, model, 3)
        state = tracker.state_dict()
    with cofire.Tracker(model, [correlation(sites="hidden1")], run=tmp_path / "a", every=1) as tracker:
        tracker.load_state_dict(state)
        trained(tracker, model, 2)
    with Run.open(tmp_path / "a") as run:
        assert {step for step, _, _ in run.arrays()} == {1, 2, 4, 5}


def test_an_earlier_run_is_not_written_over(tmp_path) -> None:
    model = mlp([9, 6, 2])
    with cofire.Tracker(model, [correlation()], run=tmp_path / "a", every=1) as tracker:
        trained(tracker, model, 1)
    tracker = cofire.Tracker(model, [correlation()], run=tmp_path / "a", every=1)
    with pytest.raises(ValueError, match="holds an earlier run, up to step 1"):
        tracker.step()
    tracker.close()


def test_what_belongs_to_the_whole_run_is_logged(tmp_path) -> None:
    rows = []
    with cofire.Tracker(mlp([9, 6, 2]), [correlation()], every=100, sink=rows.extend) as tracker:
        tracker.step()
        tracker.end_epoch()
        tracker.log(loss=torch.tensor(0.5), lr=1)
    assert [(row.step, row.epoch, row.site, row.measure, row.value) for row in rows] == [
        (1, 1, "", "loss", 0.5),
        (1, 1, "", "lr", 1.0),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"window": 0}, "window must be a whole number"),
        ({"max_samples": 2.5}, "max_samples must be"),
        ({"window": 2, "probe": torch.ones(4, 9)}, "with a probe it must be 1"),
        ({"run": 3}, "run must be a path"),
        ({"sink": 3}, "sink must be callable"),
        ({"measures": [correlation(), correlation()]}, "given twice"),
        ({"measures": [3]}, "function of samples"),
        ({"measures": [weight_correlation(sites="flatten")]}, "no layer at 'flatten' has weights"),
        ({"measures": [weight_correlation(sites=lambda name, module: name == "flatten")]}, "no layer has weights"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said(arguments, says) -> None:
    with pytest.raises(ValueError, match=says):
        cofire.Tracker(mlp([9, 6, 2]), **{"measures": [correlation()], "every": 1, **arguments})


def test_a_statistic_that_returns_no_number_is_named() -> None:
    model = mlp([9, 6, 2])
    tracker = cofire.Tracker(model, [Measure(lambda x: x, name="mine")], every=1)
    with pytest.raises(ValueError, match="measure 'mine' must return numbers, got Tensor"):
        trained(tracker, model, 1)
    tracker.close()


@pytest.mark.parametrize("options", [{}, {"probe": torch.zeros(8, 4)}, {"window": 2}], ids=str)
def test_a_closed_tracker_lets_its_model_go(options):
    model, rows = nn.Sequential(nn.Linear(4, 6), nn.ReLU()), []
    tracker = cofire.Tracker(model, [correlation(), weight_correlation()], every=1, sink=rows.extend, **options)
    model(torch.randn(8, 4))
    tracker.step()
    tracker.close()
    gone = weakref.ref(model[0])
    del model
    gc.collect()
    assert rows and gone() is None
    assert tracker.state_dict()["step"] == 1 and "correlation" in repr(tracker)
    tracker.close()
