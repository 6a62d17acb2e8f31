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


def in_order(rank: int, store: str, order: list[int], results: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=3)
    parts = odd_samples().split([70, 0, 130])
    joined = Moments().update(parts[order[rank]]).all_reduce()
    summary = joined.summary()
    found = {"mean": joined.mean(), "covariance": joined.covariance(), "correlation": joined.correlation()}
    found["summary"] = torch.tensor([summary.mean_abs, summary.debiased, *summary.interval], dtype=torch.float64)
    torch.save(found, Path(results) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def odd_samples() -> torch.Tensor:
    """Units of very different scales and offsets, one constant, one that meets a NaN, one that meets an outlier."""
    x = torch.randn(200, 130, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = x * 10.0 ** torch.linspace(-290, 140, 130) + 1e4 * torch.arange(130)
    x[:, 5], x[180, 6], x[150, 64] = 0.1, torch.nan, 1e9
    return x


def test_processes_in_any_order_give_the_same_bits(tmp_path: Path) -> None:
    found = []
    for number, order in enumerate(([0, 1, 2], [2, 0, 1], [1, 2, 0])):
        results = tmp_path / str(number)
        results.mkdir()
        mp.spawn(in_order, (str(results / "store"), order, str(results)), nprocs=3)
        found += [torch.load(results / f"{rank}.pt", weights_only=True) for rank in range(3)]
    whole = Moments().update(odd_samples())
    torch.testing.assert_close(found[0]["correlation"], whole.correlation(), rtol=0, atol=1e-13, equal_nan=True)
    apart = (found[0]["mean"] - whole.mean()).abs() / whole.variance().sqrt()
    assert apart.nan_to_num().max() < 1e-13 and found[0]["mean"][5] == 0.1 and found[0]["mean"][6].isnan()
    for one in found[1:]:
        for name, value in found[0].items():
            assert torch.equal(one[name].nan_to_num(nan=7.0), value.nan_to_num(nan=7.0)), name
