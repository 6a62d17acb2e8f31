"""Holds the table of docs/guide/wrapped.md: what a wrapped or quantized model gives.

A wrapper that only passes calls on must give exactly what the bare model gives, under the same names. Quantized weights
are told from what their layers compute.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

import cofire
from cofire.nets.layers import layer_weights
from cofire.nets.penalties import CorrelationPenalty, WeightCorrelationPenalty, weight_correlation_penalty
from cofire.nets.redundancy import redundancy_report, weight_redundancy_report
from cofire.nets.wiring.assumed import assumed_wiring
from cofire.record import Tracker, correlation, weight_correlation

X = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))

# what the libraries themselves warn of
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(deprecated|pin_memory|inputs will be cast|enum|KernelPreference|FSDP).*", "ignore:.*NO_SHARD.*"
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 8))


@pytest.fixture
def one_process() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def inside(wrap: Callable[[nn.Module], nn.Module]) -> Callable[[nn.Sequential], nn.Module]:
    def wrapped(model: nn.Sequential) -> nn.Module:
        model[2] = wrap(model[2])
        return model

    return wrapped


def sharded(model: nn.Sequential) -> nn.Module:
    mesh = dist.init_device_mesh("cpu", (1,))
    for layer in (model[0], model[2], model):
        fully_shard(layer, mesh=mesh)
    return model


TRANSPARENT: dict[str, Callable[[nn.Sequential], nn.Module]] = {
    "torch.compile": compiled,
    "torch.compile in place": compiled_in_place,
    "torch.compile of a part": inside(compiled),
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "FSDP2": sharded,
    "FSDP 1": lambda model: FullyShardedDataParallel(model, device_id=torch.device("cpu")),
    "DataParallel": nn.DataParallel,
    "AveragedModel": AveragedModel,
    "checkpoint": checkpoint_wrapper,
    "checkpoint of a part": inside(checkpoint_wrapper),
    "compiled DDP": lambda model: compiled(nn.parallel.DistributedDataParallel(model)),
}


def unit_weights(layer: nn.Module) -> dict[str, Tensor]:
    """The weights of a layer of torch's own, read by its type."""
    layers = assumed_wiring(layer, "a test").layers
    return {one.name: one.read(layer) for one in layer_weights.unit_weights(layer, layers)[0]}


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss.backward()
    flat = [whole(one.grad).flatten() for one in model.parameters() if one.grad is not None]
    return torch.cat(flat)  # FSDP 1 keeps all in one


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("wrap", TRANSPARENT.values(), ids=TRANSPARENT)
def test_a_wrapper_that_passes_calls_on_gives_what_the_bare_model_gives(wrap):
    def measured(model: nn.Module) -> dict[str, Any]:
        rows: list[cofire.record.Row] = []
        with (
            CorrelationPenalty(model) as penalty,
            Tracker(model, [correlation(), weight_correlation()], every=1, sink=rows.extend) as tracker,
        ):
            weights = WeightCorrelationPenalty(model)
            with cofire.capture(model) as activations:
                output = model(X)
            slopes = gradients(model, output.square().sum() + penalty() + weights())
            tracker.step()
        report = redundancy_report(model, X)
        return {
            "output": output,
            "gradients": slopes,
            "activations": dict(activations),
            "penalties": penalty.values,
            "weights": weights.values,
            "rows": {(row.site, row.measure): row.value for row in rows},
            "report": {
                one.layer: (one.n_samples, one.weights.mean_abs, one.activations.correlation.mean_abs)
                for one in report.layers
            },
            "weights alone": {one.layer: one.weights.mean_abs for one in weight_redundancy_report(model).layers},
        }

    expected, found = measured(network()), measured(wrap(network()))
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert {site for site, _ in found["rows"]} >= {"0", "2", "4"} and set(found["weights"]) == {"0", "2", "4"}


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("wrap", TRANSPARENT.values(), ids=TRANSPARENT)
def test_a_wrapped_model_trains_bit_equally_while_it_is_measured(wrap):
    def trained(*, measured: bool) -> Tensor:
        model = wrap(network())
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        tracker = Tracker(model, [correlation(), weight_correlation()], every=1, sink=list) if measured else None
        for _ in range(3):
            optimizer.zero_grad()
            model(X).square().mean().backward()
            optimizer.step()
            if tracker is not None:
                tracker.step()
        return torch.cat([whole(one.detach()).flatten() for one in model.parameters()])

    assert torch.equal(trained(measured=True), trained(measured=False))


@pytest.mark.parametrize("reentrant", [None, False, True])
def test_a_penalty_inside_a_checkpoint_has_a_gradient_unless_the_checkpoint_is_reentrant(reentrant):
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network()

        def forward(self, x: Tensor) -> Tensor:
            h = self.body[:2](x)
            return self.body[2](h) if reentrant is None else checkpoint(self.body[2], h, use_reentrant=reentrant)

    model = Checkpointed()
    with CorrelationPenalty(model, "body.2") as penalty:
        hidden = nn.functional.linear(model.body[:2](X), model.body[2].weight, model.body[2].bias)
        expected = CorrelationPenalty().of(hidden)
        output = model(X)
        torch.testing.assert_close(penalty(), expected)
        assert penalty().requires_grad == (reentrant is not True)
        if not reentrant:
            found = torch.autograd.grad(output.sum() + penalty(), list(model.body[:3].parameters()))
            wanted = torch.autograd.grad(hidden.sum() + expected, list(model.body[:3].parameters()))
            torch.testing.assert_close(found, wanted)


def of_torchao(config: str, **options: Any) -> Callable[[nn.Sequential], None]:
    def quantize(model: nn.Sequential) -> None:
        quantization = pytest.importorskip("torchao.quantization", reason="needs torchao")
        quantization.quantize_(model, getattr(quantization, config)(**options), lambda _, name: name == "2")

    return quantize


def of_bitsandbytes(kind: str, **options: Any) -> Callable[[nn.Sequential], None]:
    def quantize(model: nn.Sequential) -> None:
        layers = pytest.importorskip("bitsandbytes", reason="needs bitsandbytes").nn
        made = getattr(layers, kind)(64, 64, **options)
        made.load_state_dict(model[2].state_dict())
        model[2] = made.to("cpu")  # quantizes

    return quantize


QUANTIZED = {
    "torchao int8": (of_torchao("Int8WeightOnlyConfig"), "torchao's Int8Tensor", 1e-6),
    "torchao int8 activations": (of_torchao("Int8DynamicActivationInt8WeightConfig"), "torchao's Int8Tensor", 1e-2),
    "torchao float8": (of_torchao("Float8WeightOnlyConfig"), "torchao's Float8Tensor", 1e-6),
    "torchao int4": (
        of_torchao("IntxWeightOnlyConfig", weight_dtype=torch.int4),
        "torchao's IntxUnpackedToInt8Tensor",
        1e-6,
    ),
    "bitsandbytes 4 bits": (of_bitsandbytes("Linear4bit"), "bitsandbytes's Params4bit", 2e-2),
    "bitsandbytes fp4": (
        of_bitsandbytes("Linear4bit", quant_type="fp4", compress_statistics=False),
        "bitsandbytes's Params4bit",
        2e-2,
    ),
    "bitsandbytes 8 bits": (of_bitsandbytes("Linear8bitLt", has_fp16_weights=False), "bitsandbytes's Int8Params", 2e-2),
}


@pytest.mark.filterwarnings("ignore")  # of the libraries' imports
@pytest.mark.parametrize("when", ["before", "after a training pass", "after a pass in eval mode"])
@pytest.mark.parametrize(("quantize", "stored", "tolerance"), QUANTIZED.values(), ids=QUANTIZED)
def test_a_quantized_weight_is_what_its_layer_multiplies_by(quantize, stored, tolerance, when):
    model = network()
    original = model[2].weight.detach().clone()
    quantize(model)
    if when != "before":
        model.train(when == "after a training pass")
        with torch.set_grad_enabled(model.training):
            model(X)
    weight = unit_weights(model[2])["weight"]
    with torch.no_grad():
        multiplied = (model[2](torch.eye(64)) - model[2](torch.zeros(64, 64))).T
    torch.testing.assert_close(weight.float(), multiplied.float(), rtol=0, atol=tolerance)
    assert 0 < (weight - original).abs().max() < 0.05

    expected = weight_correlation_penalty(unit_weights(model[2])["weight"].float())
    found = WeightCorrelationPenalty(model, "2")()
    torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=1e-6)
    assert not found.requires_grad
    rows: list[cofire.record.Row] = []
    tracking = Tracker(model, [correlation(), weight_correlation()], every=1, sink=rows.extend)
    with tracking as tracker, torch.no_grad():
        model.train()(X)
        tracker.step()
    wc = next(row.value for row in rows if (row.site, row.measure) == ("2", "wc"))
    assert wc == pytest.approx(expected.item(), rel=1e-3)
    layers = {one.layer: one for one in redundancy_report(model, X).layers}
    assert list(layers) == ["0", "2", "4"] and layers["2"].weights.mean_abs == pytest.approx(expected.item(), rel=1e-3)
    notes = {one.layer: one.notes for one in weight_redundancy_report(model).layers}
    assert notes["0"] == notes["4"] == ()
    assert notes["2"][0] == f"stored as {stored}, read as the numbers that it stands for"


@pytest.mark.filterwarnings("ignore")  # of the libraries' imports
@pytest.mark.parametrize("case", QUANTIZED)
def test_activations_of_a_quantized_layer_are_its_outputs_and_penalties_reach_the_layers_before(case):
    model = network()
    QUANTIZED[case][0](model)
    seen = {}
    model[2].register_forward_hook(lambda module, args, output: seen.update(pre=output.detach()))
    with cofire.capture(model, "2", stage="pre") as activations, CorrelationPenalty(model, "2", stage="pre") as penalty:
        model(X)
        assert torch.equal(activations["2"], seen["pre"])
        expected = CorrelationPenalty().of(seen["pre"])
        torch.testing.assert_close(penalty(), expected)
        penalty().backward()
    # torchao's product of quantized activations has no gradient
    assert (model[0].weight.grad is None) == ("activations" in case)


@pytest.mark.filterwarnings("ignore")  # of the library's imports
def test_a_lora_layer_is_its_base_layer_and_its_two_factors():
    peft = pytest.importorskip("peft", reason="needs peft", exc_type=ImportError)
    config = peft.LoraConfig(target_modules=["2"], r=4, lora_alpha=8, init_lora_weights=False)
    model, bare = peft.get_peft_model(network(), config), network()
    layer, place = model.base_model.model[2], "base_model.model.2"
    parts = [f"{place}.base_layer", f"{place}.lora_A.default", f"{place}.lora_B.default"]
    with cofire.capture(model, parts, stage="pre") as activations, cofire.capture(model, place, stage="pre") as summed:
        model(X)
    hidden = bare[:2](X)
    torch.testing.assert_close(activations[parts[0]], bare[2](hidden).detach())
    torch.testing.assert_close(summed[place], (activations[parts[0]] + 2 * activations[parts[2]]))
    weights = [layer.base_layer.weight, layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    for name, weight in zip(parts, weights, strict=True):
        assert unit_weights(model.get_submodule(name))["weight"] is weight
    found = [one.layer for one in weight_redundancy_report(model).layers]
    assert found == ["base_model.model.0", *parts, "base_model.model.4"]
    penalty = WeightCorrelationPenalty(model, f"{place}.*")
    penalty().backward()
    assert list(penalty.values) == parts and layer.base_layer.weight.grad is None and weights[1].grad.any()
    expected = weights[0] + 2 * weights[2] @ weights[1]
    merged = model.merge_and_unload()
    torch.testing.assert_close(unit_weights(merged[2])["weight"], expected)


def two_processes(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    mesh, found = dist.init_device_mesh("cpu", (2,)), {}
    for name, made in SHARDED.items():
        torch.manual_seed(0)
        layer = made()
        torch.manual_seed(0)
        twin = made()
        fully_shard(layer, mesh=mesh)
        sum(one.square().sum() for one in unit_weights(layer).values()).backward()
        sum(one.square().sum() for one in unit_weights(twin).values()).backward()
        same = [
            torch.equal(*pair) for pair in zip(unit_weights(layer).values(), unit_weights(twin).values(), strict=True)
        ]
        slopes = [
            one.grad is None if other.grad is None else torch.allclose(one.grad.full_tensor(), other.grad)
            for one, other in zip(layer.parameters(), twin.parameters(), strict=True)
        ]
        found[name] = same and all(same) and all(slopes) and list(unit_weights(layer)) == list(unit_weights(twin))
    model = FullyShardedDataParallel(network(), device_id=torch.device("cpu"))
    model(X).sum().backward()
    found["FSDP 1"] = not any(unit_weights(layer) for layer in model.modules())
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


SHARDED: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(5, 7),
    "embedding": lambda: nn.Embedding(6, 5),
    "recurrent": lambda: nn.GRU(5, 3),
    "transposed": lambda: nn.ConvTranspose1d(4, 6, 2, groups=2),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4)),
}


def test_weights_that_fsdp2_has_spread_are_read_whole_and_fsdp_1s_not_at_all(tmp_path):
    mp.spawn(two_processes, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found == dict.fromkeys([*SHARDED, "FSDP 1"], True)
