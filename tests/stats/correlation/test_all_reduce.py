"""Moments over two real processes (gloo) are those of one."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from cofire.stats import Moments

SIZES = {"even": [40, 40], "uneven": [70, 10], "first_empty": [0, 80], "last_empty": [80, 0]}


def samples() -> torch.Tensor:
    x = torch.randn(80, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x += 1e4 * torch.arange(300)
    x[:, 7] = 0.3
    x[:40, 8], x[40:, 8] = 1.0, 2.0
    return x


def worker(rank: int, store: str, sizes: list[int], results: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    part = samples().split(sizes)[rank]
    joined = Moments().update(part).all_reduce()
    summary = joined.summary()
    torch.save(
        {"count": joined.count, "covariance": joined.covariance(), "error": summary.standard_error},
        Path(results) / f"{rank}.pt",
    )
    dist.barrier()
    dist.destroy_process_group()


def mismatched(rank: int, store: str, results: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        Moments().update(torch.randn(5, 3 + rank)).all_reduce()
    except ValueError as error:
        (Path(results) / f"{rank}.txt").write_text(str(error))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize("case", SIZES)
def test_two_processes_equal_one(case: str, tmp_path: Path) -> None:
    mp.spawn(worker, (str(tmp_path / "store"), SIZES[case], str(tmp_path)), nprocs=2)
    whole = Moments().update(samples())
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found["count"] == 80
        assert found["covariance"][7, 7] == 0
        torch.testing.assert_close(found["covariance"], whole.covariance(), rtol=1e-12, atol=1e-12)
        assert found["error"] == pytest.approx(whole.summary().standard_error, rel=0.5)


def test_different_layers_are_refused_on_every_process(tmp_path: Path) -> None:
    mp.spawn(mismatched, (str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    for rank in range(2):
        assert "by rank are [3, 4]" in (tmp_path / f"{rank}.txt").read_text()


def test_without_a_process_group() -> None:
    with pytest.raises(RuntimeError, match="init_process_group"):
        Moments().all_reduce()
