"""A training that is interrupted between epochs goes on to the same rows and weights, bit for bit."""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cofire.papers.framework import task_context
from cofire.papers.framework.experiment import Experiment, row
from cofire.papers.framework.repetitions import table_of
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_context import Place, Stage, running_at
from cofire.papers.framework.task_results import Results
from cofire.papers.framework.tasks import Task, grid
from cofire.papers.peganov2021.peganov_networks import CharacterLSTM
from cofire.papers.training import loop, stacked_training
from cofire.papers.training.datasets import Dataset, digits
from cofire.papers.training.language import Reading, learn_text, windows_of
from cofire.papers.training.loop import Settings
from cofire.papers.training.models import Dropout, mlp
from cofire.papers.training.stacked_training import Watch, fit
from cofire.papers.training.texts import load_text
from cofire.record import Row, correlation, weight_correlation

Trained = tuple[list[Row], list[nn.Module]]


class Killed(Exception):
    pass


@pytest.fixture
def killed_after(monkeypatch) -> Callable[[int], None]:
    """Make the given number of savings work, and kill the task right after the last."""
    monkeypatch.setattr(task_context, "SAVED_EVERY", 0.0)
    save = Stage.save

    def kill_after(n: int) -> None:
        left = [n]

        def save_and_die(stage: Stage, state) -> None:
            save(stage, state)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(Stage, "save", save_and_die)

    return kill_after


def data() -> Dataset:
    return digits().first(200, 60)


def conv(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    drop = Dropout(0.2, seed=seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), drop, nn.Linear(108, 10))


def dense(seed: int) -> nn.Sequential:
    return mlp([64, 12, 10], seed=seed, dropout=0.3, batch_norm=True)


def classifiers(make: Callable[[int], nn.Sequential], **options) -> Trained:
    """Train two groups of networks, one after the other, as a task may."""
    rows, models = [], []
    settings = Settings(**{"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "momentum": 0.8, **options})
    watch = Watch([correlation(), weight_correlation()], probe=data().test_x, every=5)
    torch.manual_seed(7)
    for seeds in ((0, 1), (2,)):
        group = [make(seed) for seed in seeds]
        rows += fit(group, data(), settings, seeds=seeds, watch=watch)
        models += group
    return rows, models


def readers() -> Trained:
    text, rows, models = load_text("zen").first(600), [], []
    reading = Reading(epochs=3, batch_size=8, optimizer="sgd", learning_rate=0.1)
    probe = windows_of(text.test, n_windows=5, length=20)
    for seed in (0, 1):
        model = CharacterLSTM(len(text.vocabulary), [7, 6], dropout=0.3, seed=seed)
        rows += learn_text(model, text, reading, seed=seed, measures=[correlation(sites="lstm*")], probe=probe, every=3)
        models.append(model)
    return rows, models


def plain() -> Trained:
    """Networks that are trained without rows."""
    models = [conv(seed) for seed in (0, 1)]
    epochs = [loop.fit(model, data(), Settings(epochs=4, batch_size=32), until_loss=1.9) for model in models]
    return [row("epochs", count, seed=seed) for seed, count in enumerate(epochs)], models


TRAININGS = {
    "plain": plain,
    "stacked, Adam": lambda: classifiers(dense),
    "stacked, SGD": lambda: classifiers(dense, optimizer="sgd"),
    "alone": lambda: classifiers(conv),
    "text": readers,
}


def weights(models: Sequence[nn.Module]) -> list[Tensor]:
    return [part for model in models for part in model.state_dict().values()]


@pytest.mark.parametrize("n_saved", [1, 4])
@pytest.mark.parametrize("name", TRAININGS)
def test_an_interrupted_training_gives_the_same_bits(name: str, n_saved: int, tmp_path: Path, killed_after) -> None:
    rows, models = TRAININGS[name]()
    killed_after(n_saved)
    here, there = tmp_path / "here", tmp_path / "there"
    with pytest.raises(Killed), running_at(Place(checkpoint=here / "a.pt")):
        TRAININGS[name]()
    shutil.copytree(here, there)  # as to another machine
    killed_after(-1)
    with running_at(Place(checkpoint=there / "a.pt")):
        again, same = TRAININGS[name]()
    assert str(again) == str(rows) and len(rows) > 1  # as text, in which NaN equals NaN
    assert all(torch.equal(a, b) for a, b in zip(weights(models), weights(same), strict=True))


def test_what_was_trained_is_not_trained_again(tmp_path: Path, killed_after, monkeypatch) -> None:
    killed_after(4)  # all three epochs of the first group, one of the second
    with pytest.raises(Killed), running_at(Place(checkpoint=tmp_path / "a.pt")):
        classifiers(dense)
    killed_after(-1)
    steps, loss = [], stacked_training._loss
    monkeypatch.setattr(stacked_training, "_loss", lambda *given: steps.append(1) or loss(*given))
    with running_at(Place(checkpoint=tmp_path / "a.pt")):
        classifiers(dense)
    assert len(steps) == 2 * 7  # two epochs of the second group


def test_networks_that_have_all_diverged_learn_no_more_and_their_rows_are_complete(monkeypatch) -> None:
    steps, loss = [], stacked_training._loss
    monkeypatch.setattr(stacked_training, "_loss", lambda *given: steps.append(1) or loss(*given))
    settings = Settings(epochs=6, batch_size=50, optimizer="sgd", learning_rate=1e30)
    watch = Watch([weight_correlation()], probe=data().test_x)
    rows = fit([dense(seed) for seed in (0, 1)], data(), settings, seeds=(0, 1), watch=watch)
    assert len(steps) < 3 * 4
    losses = [row for row in rows if row.measure == "loss" and row.seed == 1]
    assert [row.epoch for row in losses] == list(range(7)) and math.isnan(losses[-1].value)
    # One that still learns keeps its stack going.
    steps.clear()
    healthy, broken = dense(0), dense(1)
    with torch.no_grad():
        next(iter(broken.parameters())).fill_(math.nan)
    fit([healthy, broken], data(), Settings(epochs=2, batch_size=50), seeds=(0, 1))
    assert len(steps) == 2 * 4 and all(part.isfinite().all() for part in healthy.parameters())


def test_networks_train_on_the_tasks_device_and_come_back(monkeypatch) -> None:
    """On PyTorch's device without numbers, as far as anything runs there."""
    seen = []
    monkeypatch.setattr(
        stacked_training, "_fit", lambda networks, data, *rest: seen.append((networks, data, rest)) or []
    )
    monkeypatch.setattr(task_context, "check_device", lambda name: None)
    model = dense(0)
    with running_at(Place("meta")), pytest.raises(NotImplementedError):  # nothing comes back from there
        fit([model], data(), Settings(epochs=1), seeds=[0], watch=Watch([correlation()], probe=data().test_x))
    ((networks, there, (_, _, watch, *_)),) = seen
    devices = {part.device.type for part in (*networks.parameters, there.train_x, there.test_y, watch.probe)}
    assert devices == {"meta"}


def networks_of(task: Task) -> list[Row]:
    models = [dense(seed) for seed in task.seeds]
    return fit(
        models, data(), Settings.of(task.values), seeds=task.seeds, watch=Watch([correlation()], probe=data().test_x)
    )


def test_a_sweep_that_was_interrupted_goes_on_within_its_task(tmp_path: Path, killed_after) -> None:
    points = grid(epochs=3, batch_size=32)
    scales = dict.fromkeys(("smoke", "quick", "paper"), points)
    ones, minutes = dict.fromkeys(scales, 2), dict.fromkeys(scales, 1.0)
    experiment = Experiment("jin2022.nets", "Networks", scales, ones, networks_of, {}, (), minutes)
    work = [(experiment, task) for task in experiment.tasks("quick")]
    tables = []
    for folder, n_saved in (("whole", -1), ("killed", 2)):
        with Results(tmp_path / folder, write=True) as results:
            killed_after(n_saved)
            (done,) = sweep(work, results)
            assert bool(done.state.error) == (n_saved > 0) == results.checkpoint(work[0][1]).exists()
            killed_after(-1)
            sweep(work, results)
            assert not results.checkpoint(work[0][1]).exists()
            tables.append(sorted(map(str, table_of(results.found(experiment, "quick").repetitions.values()))))
    assert tables[0] == tables[1] and tables[0]
