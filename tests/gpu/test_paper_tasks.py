"""The papers' tasks on a GPU: networks and data are there while they train, and the numbers are nearly the CPU's."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from cofire.papers.framework.sweep import run_task
from cofire.papers.framework.task_context import Place
from cofire.papers.framework.tasks import Task
from cofire.papers.training import loop
from cofire.papers.training.datasets import digits
from cofire.papers.training.loop import Settings
from cofire.papers.training.models import Dropout, mlp
from cofire.papers.training.stacked_training import Penalized, Watch, correlation_penalties, fit
from cofire.record import Row, correlation, weight_correlation

SETTINGS = Settings(epochs=2, batch_size=32, learning_rate=0.01)


def stacked(task: Task) -> list[Row]:
    models = [mlp([64, 12, 8, 10], seed=seed, dropout=0.2, batch_norm=True) for seed in task.seeds]
    data = digits().first(300, 100)
    watch = Watch([correlation(), weight_correlation()], probe=data.test_x)
    penalized = Penalized(correlation_penalties, ("act1",), 0.01)
    rows = fit(models, data, SETTINGS, seeds=task.seeds, watch=watch, penalized=penalized)
    assert {part.device.type for model in models for part in model.state_dict().values()} == {"cpu"}
    return rows


def alone(task: Task) -> list[Row]:
    models: list[nn.Module] = []
    for seed in task.seeds:
        torch.manual_seed(seed)
        drop = Dropout(0.2, seed=seed)
        models.append(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), drop, nn.Linear(108, 10)))
    data = digits().first(300, 100)
    loop.fit(models[0], data, SETTINGS)
    return fit(models[1:], data, SETTINGS, seeds=task.seeds[1:], watch=Watch([correlation()], probe=data.test_x))


@pytest.mark.parametrize("run", [stacked, alone])
def test_a_task_gives_nearly_the_numbers_of_the_cpu(run: Callable[[Task], list[Row]]) -> None:
    task = Task.of("a.b", 1, {}, [0, 1, 2])
    (_, ours, there), (_, theirs, here) = (run_task(run, task, Place(device)) for device in ("cuda", "cpu"))
    assert (there.error, there.device, here.error, here.device) == (None, "cuda", None, "cpu")
    assert [one[1:6] for one in ours] == [one[1:6] for one in theirs] and len(ours) > 10
    torch.testing.assert_close(
        torch.tensor([one.value for one in ours]), torch.tensor([one.value for one in theirs]), rtol=0.02, atol=0.02
    )
