"""Trackers and penalties on two real processes (gloo), under DDP, Join and FSDP2: what one process gives."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.distributed.algorithms.join import Join
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from cofire import CorrelationPenalty, Tracker
from cofire.nets import WeightCorrelationPenalty
from cofire.record import Measure, Row, correlation, epsilon, weight_correlation
from cofire.record.across_processes import group_of
from cofire.record.joining import Joining

TIME_OUT = 3
SPLITS = {"even": [[12, 12]] * 4, "uneven": [[12, 12], [20, 4], [12, 12], [21, 3]]}
RUNS_OUT = [[12, 12], [12, 12], [24, 0], [24, 0]]
"""How many samples of each step's 24 the two processes have."""


def batches() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(2)
    for _ in range(4):
        yield torch.randn(24, 6, dtype=torch.float64, generator=generator)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 4)).double()


def spread(x: Tensor) -> float:
    """A user's own statistic, which no sums of two processes give."""
    return float(x.abs().median())


MEASURES: list = [correlation(), epsilon(), weight_correlation(), Measure(spread)]


def train(
    model: nn.Module,
    parts: list[Tensor],
    penalties: Callable[[nn.Module], list],
    *,
    context: Callable[..., object] = lambda tracker: nullcontext(),
    **options,
) -> tuple[list[Row], dict[str, Tensor]]:
    """Rows and final weights; each process's loss is its sum over samples, and DDP and FSDP take the mean of two."""
    rows: list[Row] = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    n_processes = dist.get_world_size() if dist.is_initialized() else 1
    opened = penalties(model)
    with Tracker(model, MEASURES, every=1, sink=rows.extend, **options) as tracker, context(tracker):  # type: ignore[attr-defined]
        for x in parts:
            optimizer.zero_grad()
            (model(x).square().sum() * n_processes / 24 + sum(penalty() for penalty in opened)).backward()
            optimizer.step()
            tracker.step()
    for penalty in opened:
        penalty.close()
    weights = {name.removeprefix("module."): whole(p.detach()) for name, p in model.named_parameters()}
    return rows, weights


def whole(weight: Tensor) -> Tensor:
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight


def of_activations(model: nn.Module) -> list:
    return [CorrelationPenalty(model, "0", weight=0.3, synchronize=True)]


def of_both(model: nn.Module) -> list:
    return [*of_activations(model), WeightCorrelationPenalty(model, weight=0.2)]


def part(split: list[list[int]], rank: int) -> list[Tensor]:
    return [x.split(sizes)[rank] for x, sizes in zip(batches(), split, strict=True)]


def distributed(rank: int) -> dict[str, tuple[list[Row], dict[str, Tensor]]]:
    found = {}
    for name, split in SPLITS.items():
        model = DistributedDataParallel(network())
        found[f"ddp {name}"] = train(model, part(split, rank), of_both, synchronize=True)
        model = network()
        fully_shard(model[0])
        fully_shard(model)
        found[f"fsdp2 {name}"] = train(model, part(split, rank), of_both, synchronize=True)
    model = DistributedDataParallel(network())
    own = part(RUNS_OUT, rank)[: 4 if rank == 0 else 2]
    joined = train(
        model, own, lambda model: [], synchronize=True, context=lambda tracker: Join([model, Joining(tracker)])
    )
    return {**found, "join": joined}


def failing(rank: int, folder: Path) -> dict[str, float]:
    """One process fails and lives on; how long the other waits for it, in seconds."""
    waited = {}
    for name in ("tracker", "penalty"):
        group, model = dist.new_group(timeout=timedelta(seconds=TIME_OUT)), network()
        x = next(batches())
        if rank == 1:
            while not (folder / f"{name} gave up").exists():
                time.sleep(0.05)
            continue
        with (
            Tracker(model, [correlation()], every=1, synchronize=group) as tracker,
            CorrelationPenalty(model, "0", synchronize=group) as penalty,
        ):
            model(x)
            began = time.monotonic()
            with pytest.raises(RuntimeError):
                tracker.step() if name == "tracker" else penalty()
            waited[name] = time.monotonic() - began
        (folder / f"{name} gave up").touch()
    return waited


def unlike(rank: int) -> str:
    """Processes with layers of different widths are told so, on both."""
    model = nn.Sequential(nn.Linear(6, 3 + rank))
    with Tracker(model, [correlation()], every=1, synchronize=True) as tracker:
        model(torch.ones(5, 6))
        with pytest.raises(ValueError, match="different numbers of units") as told:
            tracker.step()
    return str(told.value)


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    found = {"runs": distributed(rank), "unlike": unlike(rank)}
    found["waited"] = failing(rank, Path(folder))
    found["runs"] = {name: ([tuple(row) for row in rows], weights) for name, (rows, weights) in found["runs"].items()}
    torch.save(found, Path(folder) / f"{rank}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("together")
    mp.spawn(worker, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def by_key(rows: list) -> dict[tuple, tuple[float, int]]:
    return {(*row[1:6], row[8]): row[6:8] for row in rows}


@pytest.mark.parametrize("case", ["ddp even", "ddp uneven", "fsdp2 even", "fsdp2 uneven", "join"])
def test_two_processes_give_what_one_gives(results, case):
    rows, weights = train(network(), list(batches()), (lambda model: []) if case == "join" else of_both)
    found, found_weights = results[0]["runs"][case]
    expected, got = by_key(rows), by_key(found)
    assert got.keys() == expected.keys() and {key[0] for key in got} == {1, 2, 3, 4}
    for key, (value, n_samples) in expected.items():
        loose = key[3] in ("nc_low", "nc_high")  # the rows come in another order, and up to 512 tell the error
        assert got[key][0] == pytest.approx(value, rel=0.02 if loose else 1e-9, abs=1e-12), key
        assert got[key][1] == n_samples
    for name, weight in weights.items():
        torch.testing.assert_close(found_weights[name], weight, rtol=1e-9, atol=1e-12)


def test_one_process_writes(results):
    assert all(not rows for rows, _ in results[1]["runs"].values())


def test_a_process_that_fails_holds_the_other_up_no_longer_than_the_time_out(results):
    waited = results[0]["waited"]
    assert waited.keys() == {"tracker", "penalty"}
    assert all(seconds < TIME_OUT + 20 for seconds in waited.values())


def test_processes_that_do_not_match_are_told_so(results):
    assert results[0]["unlike"] == results[1]["unlike"]
    assert "[3, 4] units" in results[0]["unlike"]


def test_alone_nothing_is_synchronized():
    assert group_of(True) is None and group_of(False) is None
    with (
        Tracker(network(), [correlation()], synchronize=True) as tracker,
        pytest.raises(ValueError, match="synchronize"),
    ):
        Joining(tracker)
