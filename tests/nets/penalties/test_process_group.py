"""Statistics over two real processes (gloo): values and averaged gradients are those of one."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cofire.nets.penalties import CorrelationPenalty, correlation_penalty, decov_penalty, vicreg_covariance_penalty

SPLITS = [[12, 12], [20, 4], [0, 24]]
PENALTIES = {
    "plain": lambda x, **where: correlation_penalty(x, **where),
    "debiased": lambda x, **where: correlation_penalty(x, debiased=True, **where),
    "top": lambda x, **where: correlation_penalty(x, top=0.3, scale="per_sample", **where),
    "decov": decov_penalty,
    "vicreg": vicreg_covariance_penalty,
}


def batch() -> Tensor:
    x = torch.randn(24, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 100
    x[:, 3] = 0.1  # constant everywhere
    x[:12, 4], x[12:, 4] = 1.0, 2.0  # constant on each process of an even split
    return x


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(nn.Linear(40, 16), nn.Tanh(), nn.Linear(16, 2)).double()


def trained(model: nn.Module, x: Tensor, synchronize: bool) -> dict[str, Tensor]:
    with CorrelationPenalty(model, "0", weight=0.5, synchronize=synchronize) as penalty:
        (model(x).square().mean() + penalty()).backward()
    return {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = {}
    for case, sizes in enumerate(SPLITS):
        for name, penalty in PENALTIES.items():
            part = batch().split(sizes)[rank].clone().requires_grad_()
            value = penalty(part, synchronize=True)
            value.backward()
            found[f"{case} {name}"] = {"value": value.detach(), "grad": part.grad}
    found["by group"] = correlation_penalty(batch()[:12], synchronize=dist.group.WORLD)
    found["alone"] = correlation_penalty(batch()[:12])
    found["network"] = trained(DistributedDataParallel(network()), batch().split(12)[rank], True)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(worker, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("case", range(len(SPLITS)), ids=[f"{a}_and_{b}" for a, b in SPLITS])
def test_two_processes_equal_one(results, case, name):
    x = batch().requires_grad_()
    value = PENALTIES[name](x)
    value.backward()
    found = [one[f"{case} {name}"] for one in results]
    for one in found:
        assert one["value"].item() == pytest.approx(value.item(), rel=1e-10)
    # what DistributedDataParallel does next is to average over the two
    gradient = torch.cat([one["grad"] for one in found]) / 2
    torch.testing.assert_close(gradient, x.grad, rtol=1e-8, atol=1e-10 * x.grad.abs().max().item())
    assert not gradient[:, 3].any()


def test_a_network_trains_as_on_one_process(results):
    expected = trained(network(), batch(), False)
    for one in results:
        for name, grad in expected.items():
            torch.testing.assert_close(one["network"][name], grad, rtol=1e-8, atol=1e-10)


def test_a_group_and_no_group(results):
    twice = correlation_penalty(torch.cat([batch()[:12], batch()[:12]])).item()
    for one in results:
        assert one["by group"].item() == pytest.approx(twice, rel=1e-10)
        assert one["alone"].item() == pytest.approx(correlation_penalty(batch()[:12]).item(), rel=1e-10)


def test_where_nothing_is_distributed_there_is_one_process():
    assert correlation_penalty(batch(), synchronize=True).item() == correlation_penalty(batch()).item()
