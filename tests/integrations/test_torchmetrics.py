"""The metric follows torchmetrics' conventions and equals one summary of all samples."""

import importlib.util
import pickle
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

if importlib.util.find_spec("torchvision"):  # here too, for the processes that are spawned
    from architectures import register_operators_of_torchvision

    OPERATORS = register_operators_of_torchvision()

pytest.importorskip("torchmetrics", reason='needs pip install "cofire[torchmetrics]"')

from torchmetrics import MetricCollection

from cofire.integrations.torchmetrics import QUANTITIES, NeuronalCorrelation
from cofire.stats import neuronal_correlation

WIDTH = 9


def samples(n: int = 300) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    shared = torch.randn(n, 1, generator=generator)
    x = shared + torch.randn(n, WIDTH, generator=generator)
    x[:, 2] = 1.5  # a constant unit
    return x


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_batches_give_what_the_whole_gives(quantity):
    metric = NeuronalCorrelation(WIDTH, quantity)
    for batch in samples().split([128, 100, 71, 1]):
        metric.update(batch)
    expected = float(getattr(neuronal_correlation(samples()), QUANTITIES[quantity]))
    assert metric.compute().item() == pytest.approx(expected, rel=2e-3 if quantity == "standard_error" else 1e-6)


def test_batches_seen_in_inference_mode_and_outside_count_together():
    metric = NeuronalCorrelation(WIDTH)
    with torch.inference_mode():  # as Lightning validates
        metric(samples()[:100])
        metric.reset()
        metric.update(samples()[:100])
        metric(samples()[100:150])
        metric.compute()
    metric.update(samples()[150:250])
    metric(samples()[250:])
    assert metric.compute().item() == pytest.approx(neuronal_correlation(samples()).mean_abs, rel=1e-6)


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = NeuronalCorrelation(WIDTH)
    first, second = samples().split(150)
    assert metric(first).item() == pytest.approx(neuronal_correlation(first).mean_abs, rel=1e-6)
    assert metric(second).item() == pytest.approx(neuronal_correlation(second).mean_abs, rel=1e-6)
    assert metric.compute().item() == pytest.approx(neuronal_correlation(samples()).mean_abs, rel=1e-6)


def test_reset_forgets_and_merge_adds():
    one, other = NeuronalCorrelation(WIDTH), NeuronalCorrelation(WIDTH)
    one.update(torch.randn(50, WIDTH))
    one.reset()
    assert int(one.count) == 0 and not one.comoment.any()
    first, second = samples().split([100, 200])
    one.update(first)
    other.update(second)
    one.merge_state(other)
    assert one.compute().item() == pytest.approx(neuronal_correlation(samples()).mean_abs, rel=1e-6)


def test_a_collection_shares_one_state():
    names = ("debiased", "mean_abs", "noise_floor", "rms")
    found = MetricCollection({name: NeuronalCorrelation(WIDTH, name) for name in names})
    for batch in samples().split(100):
        found.update(batch)
    assert list(found.compute_groups.values()) == [list(names)]
    expected = neuronal_correlation(samples())
    assert {name: value.item() for name, value in found.compute().items()} == pytest.approx(
        {name: getattr(expected, name) for name in names}, rel=1e-6
    )


def test_state_survives_saving_pickling_and_a_change_of_type():
    metric = NeuronalCorrelation(WIDTH)
    metric.persistent(True)
    metric.update(samples()[:200])
    again = NeuronalCorrelation(WIDTH)
    again.load_state_dict(metric.state_dict())
    for one in (metric, again, pickle.loads(pickle.dumps(metric)), metric.clone().half()):
        one.update(samples()[200:])
        assert one.compute().item() == pytest.approx(neuronal_correlation(samples()).mean_abs, rel=1e-6)


CASTS = {
    "half": lambda metric: metric.half(),
    "to": lambda metric: metric.to(torch.float16),
    "to device and type": lambda metric: metric.to("cpu", torch.bfloat16),
    "float": lambda metric: metric.float(),
    "type": lambda metric: metric.type(torch.float16),
    "set_dtype": lambda metric: metric.set_dtype(torch.float32),
    "inside a model": lambda metric: nn.Sequential(nn.Linear(2, 2), metric).to(torch.float16)[1],
}


@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
def test_no_cast_takes_digits_from_the_state(cast):
    metric = NeuronalCorrelation(WIDTH)
    metric.update(samples()[:200])
    before = {name: value.clone() for name, value in metric.metric_state.items()}
    cast(metric)
    assert {name: value.dtype for name, value in metric.metric_state.items()} == {
        name: value.dtype for name, value in before.items()
    }
    assert all(torch.equal(value, before[name]) for name, value in metric.metric_state.items())
    metric.update(samples()[200:])
    assert metric.compute().item() == pytest.approx(neuronal_correlation(samples()).mean_abs, rel=1e-6)
    metric.reset()
    assert metric.comoment.dtype == torch.float64 and metric.count.dtype == torch.int64


def test_a_move_is_still_a_move():
    metric = NeuronalCorrelation(WIDTH).to("meta")
    assert {value.device.type for value in metric.metric_state.values()} == {"meta"}


@pytest.mark.parametrize("n", [2**24 + 1, 2**53 + 1])
def test_large_counts_are_exact(n):
    metric = NeuronalCorrelation(WIDTH, "n_samples")
    metric.update(samples())
    metric.count.fill_(n - 1)
    metric.set_dtype(torch.float32).to(torch.float16)
    metric.update(samples()[:1])
    assert metric.compute().item() == n


def test_plot_is_theirs():
    pytest.importorskip("matplotlib").use("agg")
    metric = NeuronalCorrelation(WIDTH)
    values = [metric(batch) for batch in samples().split(100)]
    figure, axes = metric.plot(values)
    assert list(axes.lines[0].get_ydata()) == pytest.approx([value.item() for value in values])
    assert axes.get_ylim()[1] >= 1 and figure is axes.get_figure()


def test_no_samples_and_one_are_undefined():
    metric = NeuronalCorrelation(WIDTH)
    metric.update(torch.empty(0, WIDTH))
    assert metric.compute().isnan()
    metric.update(samples()[:1])
    assert metric.compute().isnan()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeuronalCorrelation(0), "num_units must be a whole number"),
        (lambda: NeuronalCorrelation(3, "median"), "unknown quantity .median.; did you mean"),
        (lambda: NeuronalCorrelation(3, compute_dtype=torch.float16), "compute_dtype"),
        (lambda: NeuronalCorrelation(3).update(torch.ones(5, 4)), r"shape \(n_samples, 3\), got \(5, 4\)"),
    ],
)
def test_wrong_input_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    gather, gathered = dist.all_gather, []
    dist.all_gather = lambda *args, **kwargs: (gathered.append(1), gather(*args, **kwargs))
    found = {}
    for case, sizes in enumerate([[150, 150], [299, 1], [300, 0]]):
        metric = NeuronalCorrelation(WIDTH)
        metric.update(samples().split(sizes)[rank])
        found[f"{case}"] = metric.compute()
        found[f"{case} local"] = metric.count.clone()  # after compute the state is one's own again
    metric = NeuronalCorrelation(WIDTH)
    metric.update(samples()[:100].split(50)[rank])
    metric.sync()
    metric.update(samples()[100:].split(100)[rank])
    found["seen while synced"] = metric.count.clone()
    metric.unsync()
    found["updated while synced local"] = metric.count.clone()
    found["updated while synced"] = metric.compute()
    found["gathers"] = torch.tensor(len(gathered))
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_give_what_one_gives_without_a_gather(tmp_path):
    mp.spawn(worker, (str(tmp_path),), nprocs=2)
    expected = neuronal_correlation(samples()).mean_abs
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for case, sizes in enumerate([[150, 150], [299, 1], [300, 0]]):
            assert found[f"{case}"].item() == pytest.approx(expected, rel=1e-6)
            assert found[f"{case} local"].item() == sizes[rank]
        assert found["seen while synced"] == 200 and found["updated while synced local"] == 150
        assert found["updated while synced"].item() == pytest.approx(expected, rel=1e-6)
        assert found["gathers"] == 0
