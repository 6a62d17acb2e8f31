"""Runs stopped at chosen places and resumed, by real processes, against one that was left alone."""

import random
import signal
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingWarmRestarts,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from cofire.record import Run, resumable


def outcome(directory: Path) -> tuple[list[tuple[object, ...]], list[tuple[int, str, str]], bytes]:
    with Run.open(directory) as run:
        rows = sorted(tuple(map(str, row[1:])) for row in run.rows())
        return rows, sorted(run.arrays()), (directory / "weights").read_bytes()


@pytest.mark.parametrize("step", [1, 20, *(pytest.param(n, marks=pytest.mark.slow) for n in (13, 14, 26, 51))])
def test_kill_nine_and_resume_gives_the_same_rows_and_weights(step, start, undisturbed, tmp_path) -> None:
    run = tmp_path / "run"
    assert start(run, step=step).stop_when_paused(signal.SIGKILL) == -signal.SIGKILL
    assert start(run).status() == 0
    assert outcome(run) == outcome(undisturbed)


@pytest.mark.parametrize("write", [0, 5, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3, 4, 6))])
def test_kill_while_a_file_is_written(write, start, undisturbed, tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert start(run, write=write).stop_when_paused(signal.SIGKILL) == -signal.SIGKILL
    assert list(run.rglob(".*.partial"))
    assert start(run).status() == 0
    assert not list(run.rglob(".*.partial"))
    assert outcome(run) == outcome(undisturbed)


def test_terminate_saves_at_the_edge_of_a_step_and_exits_143(start, undisturbed, tmp_path) -> None:
    run = tmp_path / "run"
    assert start(run, step=20).stop_when_paused(signal.SIGTERM) == 143
    with Run.open(run) as before:
        left = sorted(before.arrays())
    with Run.open(run, mode="write") as opened:
        found = opened.load()
    assert found is not None and found[0] in (20, 21)
    assert max(step for step, _, _ in left) >= 18  # the last arrays were kept
    assert start(run).status() == 0
    assert outcome(run) == outcome(undisturbed)  # and not twice


def test_damaged_newest_checkpoint_falls_back_with_a_warning(start, undisturbed, tmp_path) -> None:
    run = tmp_path / "run"
    start(run, step=30).stop_when_paused(signal.SIGKILL)
    newest = sorted((run / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    with Run.open(run, mode="write") as opened, pytest.warns(RuntimeWarning, match="falling back"):
        found = opened.load()
    assert found is not None and found[0] == 13
    assert start(run).status() == 0
    assert outcome(run) == outcome(undisturbed)


def test_global_generators_go_on_where_they_were(tmp_path) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002 - users draw from it

    generator = torch.Generator().manual_seed(1)
    with Run.open(tmp_path / "run", mode="write") as run, resumable(run, every=1, mine=generator) as loop:
        loop.edge(1)
    expected = *draws(), float(torch.rand((), generator=generator))
    draws()
    with Run.open(tmp_path / "run", mode="write") as run, resumable(run, every=1, mine=generator) as loop:
        assert loop.step == 1
        assert (*draws(), float(torch.rand((), generator=generator))) == expected


def test_parts_that_cannot_be_kept_are_refused(tmp_path) -> None:
    with Run.open(tmp_path / "run", mode="write") as run:
        with pytest.raises(ValueError, match="no state_dict"), resumable(run, every=1, model=3):
            pass
        with pytest.raises(ValueError, match="'rng' is taken"), resumable(run, every=1, rng=torch.Generator()):
            pass
        with pytest.raises(ValueError, match="whole number"), resumable(run, every=0, model=torch.nn.Linear(1, 1)):
            pass


SCHEDULERS = {
    "MultiStepLR": lambda optimizer: MultiStepLR(optimizer, [1, 2, 2]),
    "SequentialLR": lambda optimizer: SequentialLR(
        optimizer, [ConstantLR(optimizer), MultiStepLR(optimizer, [2])], [2]
    ),
    "OneCycleLR": lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=9),
    "CosineAnnealingWarmRestarts": lambda optimizer: CosineAnnealingWarmRestarts(optimizer, 3),
    "ReduceLROnPlateau": ReduceLROnPlateau,
}


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_schedulers_of_torch_are_kept(make, tmp_path) -> None:
    def scheduler():
        return make(torch.optim.AdamW(torch.nn.Linear(2, 2).parameters(), lr=0.1))

    first, again = scheduler(), scheduler()
    with Run.open(tmp_path / "run", mode="write") as run, resumable(run, every=1, scheduler=first) as loop:
        first.optimizer.step()
        first.step(*([1.0] if isinstance(first, ReduceLROnPlateau) else []))
        loop.edge(1)
    with Run.open(tmp_path / "run", mode="write") as run, resumable(run, every=1, scheduler=again):
        assert again.state_dict() == first.state_dict() != scheduler().state_dict()


@pytest.mark.parametrize("kept", [Counter({3: 2}), {1, 2}, bytearray(b"ab"), b"ab", OrderedDict(a=[1, (2.5, None)])])
def test_what_a_checkpoint_takes_comes_back(kept, tmp_path) -> None:
    with Run.open(tmp_path / "run", mode="write") as run:
        run.save(1, {"part": kept})
        assert run.load() == (1, {"part": kept})


@pytest.mark.parametrize("refused", [defaultdict(list), np.float64(1), Path(), b"", {"deep": [frozenset([1])]}])
def test_what_could_not_be_read_back_is_refused_when_it_is_saved(refused, tmp_path) -> None:
    with Run.open(tmp_path / "run", mode="write") as run, pytest.raises(ValueError, match="cannot read back safely"):
        run.save(1, {"part": refused})


def test_rows_without_a_checkpoint_are_not_written_over(tmp_path) -> None:
    from cofire.record import Row

    with Run.open(tmp_path / "run", mode="write") as run:
        run.table([Row("run", 7, 0, "", "loss", "{}", 0.5, 0, 0)])
        with pytest.raises(ValueError, match="rows up to step 7 but no checkpoint"), resumable(run, every=1):
            pass
