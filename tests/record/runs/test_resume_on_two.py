"""A resumable training on two real processes (gloo): the first writes, all load, and a signal to one stops both."""

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from cofire import Tracker
from cofire.record import Run, correlation, resumable
from cofire.record.runs.run_directory import FollowingRun


def train(directory: Path, steps: int, *, stop: str = "") -> tuple[int, dict]:
    """Train to a step; return where it began, and the weights and random numbers of each process at its end."""
    rank = dist.get_rank()
    torch.manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), 0.1, momentum=0.9)
    torch.manual_seed(100 + rank)  # each draws its own data
    mine = torch.Generator().manual_seed(200 + rank)
    with (
        Run.open(directory, mode="write", config={"lr": 0.1}) as run,
        Tracker(parallel, [correlation()], run=run, every=1, synchronize=True) as tracker,
        resumable(run, every=3, model=model, optimizer=optimizer, tracker=tracker, mine=mine) as loop,
    ):
        assert isinstance(run, FollowingRun) == (rank > 0)
        begun = loop.step
        for step in range(begun, steps):
            x = torch.randn(8, 4) + torch.rand(8, 4, generator=mine)
            optimizer.zero_grad()
            parallel(x).square().mean().backward()
            optimizer.step()
            tracker.step()
            if stop == "signal" and step == 4 and rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            loop.edge(step + 1)
    return begun, {"weights": model.state_dict(), "random": torch.rand(3), "own": torch.rand(3, generator=mine)}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    place = Path(folder)
    _, undisturbed = train(place / "whole", 8)
    with pytest.raises(SystemExit) as left:
        train(place / "run", 8, stop="signal")
    begun, resumed = train(place / "run", 8)
    with Run.open(place / f"own{rank}", mode="write", shared=False) as run, resumable(run, every=1) as loop:
        loop.edge(1 + rank)
    with pytest.raises(ValueError, match=r"lr: was 0\.1" if rank == 0 else "first process says: .*no checkpoint"):
        refused(place / "run", rank)
    found = {"undisturbed": undisturbed, "resumed": resumed, "begun": begun, "status": left.value.code}
    torch.save(found, place / f"{rank}.pt")
    dist.destroy_process_group()


def refused(directory: Path, rank: int) -> None:
    """What the first process can't resume is an error on both."""
    if rank == 0:
        from cofire.record import Row

        with Run.open(directory.parent / "rows only", mode="write") as run:
            run.table([Row("rows only", 3, 0, "", "loss", "{}", 0.5, 0, 0)])
            with pytest.raises(ValueError, match="no checkpoint"), resumable(run, every=1):
                pass
        Run.open(directory, mode="write", config={"lr": 0.2})
    with Run.open(directory.parent / "rows only", mode="write") as run, resumable(run, every=1):
        pass


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict], Path]:
    folder = tmp_path_factory.mktemp("two")
    mp.spawn(worker, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)], folder


def test_a_signal_to_one_stops_both_and_both_go_on_alike(results) -> None:
    found, folder = results
    for one in found:
        assert one["status"] == 143 and one["begun"] == 5
        for name, weight in one["undisturbed"]["weights"].items():
            torch.testing.assert_close(one["resumed"]["weights"][name], weight, rtol=0, atol=0)
        for name in ("random", "own"):  # each process goes on with its own generators
            torch.testing.assert_close(one["resumed"][name], one["undisturbed"][name], rtol=0, atol=0)
    assert not torch.equal(found[0]["resumed"]["random"], found[1]["resumed"]["random"])
    rows = []
    for name in ("whole", "run"):
        with Run.open(folder / name) as run:
            rows.append([tuple(map(str, row[1:])) for row in run.rows()])
    assert rows[0] == rows[1] and rows[0]


def test_one_process_goes_on_from_two_with_a_warning(results, tmp_path) -> None:
    import shutil

    shutil.copytree(results[1] / "whole", tmp_path / "run")
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    with (
        Run.open(tmp_path / "run", mode="write") as run,
        pytest.warns(RuntimeWarning, match="was 2 when the checkpoint was saved and is 1 now"),
        resumable(run, every=1, model=model) as loop,
    ):
        assert loop.step == 8
    torch.testing.assert_close(model.state_dict(), results[0][0]["undisturbed"]["weights"], rtol=0, atol=0)


def test_each_process_can_have_a_directory_of_its_own(results) -> None:
    for rank in range(2):
        with Run.open(results[1] / f"own{rank}", mode="write") as run:
            found = run.load()
        assert found is not None and found[0] == 1 + rank


def test_sharded_states_are_refused(tmp_path) -> None:
    class Sharded(torch.Tensor):
        def full_tensor(self) -> torch.Tensor:
            return self.as_subclass(torch.Tensor)

    with (
        Run.open(tmp_path / "run", mode="write") as run,
        pytest.raises(ValueError, match=r"\['a'\] is sharded over processes"),
    ):
        run.save(1, {"model": {"a": torch.ones(2).as_subclass(Sharded)}})
