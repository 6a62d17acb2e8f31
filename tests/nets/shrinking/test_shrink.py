"""Whole networks made smaller: shares are reached, copies vanish, what is reported is what is measured."""

import importlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from planting import plant_everywhere
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from cofire.nets.shrinking import Shrunk, apply_plan, shrink
from cofire.nets.surgery import output_error
from cofire.nets.surgery.cut_groups import named_tensors

from ..architectures import ARCHITECTURES, varied


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3))


def samples(n: int = 300, *, seed: int = 0) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


class Stream(nn.Module):
    """An embedding and blocks with layer norms that add to it."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(20, 12), nn.Linear(12, 5)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.table(x)
        for block in self.blocks:
            h = h + block(h)
        return self.out(h)


class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.gru, self.out = nn.Linear(6, 8), nn.GRU(8, 7, batch_first=True), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(torch.tanh(self.inner(x)))[0])


Make = Callable[[], nn.Module]
NETS: dict[str, tuple[Make, Callable[[], Any]]] = {
    name: (lambda make=make: varied(make()), lambda shape=shape: torch.randn(120, *shape[1:], dtype=torch.float64))
    for name, (make, shape, _) in ARCHITECTURES.items()
}
NETS["stream"] = lambda: Stream().double(), lambda: torch.randint(20, (120, 6))
NETS["gru"] = lambda: Gru().double(), lambda: torch.randn(120, 5, 6, dtype=torch.float64)


def whole(model: nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in named_tensors(model).items()}


def check_is_whole(model: nn.Module, before: dict[str, Tensor]) -> None:
    after = named_tensors(model)
    assert after.keys() == before.keys()
    assert all(torch.equal(one, before[name]) for name, one in after.items())


def check_plan(found: Shrunk, fresh: nn.Module, x: Any) -> None:
    """Check that a fresh model with the plan and the state dict puts out the same."""
    plan = json.loads(json.dumps(found.plan))
    apply_plan(fresh, plan).load_state_dict(found.model.state_dict())
    args, kwargs = ((), x) if isinstance(x, dict) else ((x,), {})
    mine, theirs = fresh.eval()(*args, **kwargs), found.model.eval()(*args, **kwargs)
    first = lambda one: one if isinstance(one, Tensor) else one[0]  # noqa: E731
    assert torch.equal(first(mine), first(theirs))


def parameters(model: nn.Module) -> int:
    return sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize("name", NETS)
def test_a_share_is_reached_and_the_original_stays(name):
    make, data = NETS[name]
    torch.manual_seed(0)
    model, x = make(), data()
    before = whole(model)
    found = shrink(model, x, keep=0.7)
    check_is_whole(model, before)
    assert found.share <= 0.7 and found.share == pytest.approx(parameters(found.model) / parameters(model))
    assert found.n_parameters == (parameters(model), parameters(found.model))
    assert found.measured < 1 and len(found.cuts) > 0
    assert output_error(model, found.model, x[::3]).relative == pytest.approx(found.measured)
    check_plan(found, make(), x)
    found.model.train()(x).sum().backward()


HARD = {"mobile", "mobile, squeezed"}
"""Networks in which other units do so little that they may go in the place of a copy."""


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, torch.float64) for name in ARCHITECTURES), *((name, torch.float32) for name in ("pitch", "residual"))],
)
def test_copies_planted_in_every_group_go_without_a_trace(name, dtype):
    make, data = NETS[name]
    torch.manual_seed(2)
    model, x = make(), data()
    plant_everywhere(model, x)
    keep = {one: cut.n_units - 1 for one, cut in shrink(model, x, check=x).cuts.items()}
    assert len(keep) >= ARCHITECTURES[name][2]
    model, x = model.to(dtype), x.to(dtype)
    found = shrink(model, x, keep=keep)
    assert {name: len(one.kept) for name, one in found.cuts.items()} == keep
    assert found.measured < (2e-2 if name in HARD else 1e-7 if dtype == torch.float64 else 1e-4)


def test_copies_and_constants_go_first_and_leave_no_trace():
    model = mlp().double()
    with torch.no_grad():
        for layer, copies in ((model[0], {3: 1, 7: 0}), (model[2], {5: 2})):
            for unit, source in copies.items():
                layer.weight[unit], layer.bias[unit] = layer.weight[source], layer.bias[source]
            layer.weight[9], layer.bias[9] = 0.0, 0.7
    found = shrink(model, samples().double(), keep={"0": 13, "2": 10})
    assert found.measured < 1e-5
    kept = set(found.cuts["0"].kept), set(found.cuts["2"].kept)
    assert 9 not in kept[0] | kept[1]
    assert len(kept[0] & {3, 1}) == len(kept[0] & {7, 0}) == len(kept[1] & {5, 2}) == 1


TEXT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24}
TEXT |= {"max_position_embeddings": 20, "pad_token_id": 0, "use_cache": False}
GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 1, "n_head": 4, "n_positions": 20, "use_cache": False}
GPT2 |= {"bos_token_id": 0, "eos_token_id": 0}
VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24}
VIT |= {"image_size": 16, "patch_size": 8}
MIXTURE = TEXT | {"num_key_value_heads": 4, "head_dim": 4, "num_local_experts": 3, "num_experts_per_tok": 2}
# the model, its configuration, and a group of heads
TRANSFORMERS = {
    "BertForMaskedLM": (TEXT, "bert.encoder.layer.0.attention.self.query[0]"),
    "GPT2LMHeadModel": (GPT2, "transformer.h.0.attn.c_attn[0]"),
    "LlamaForCausalLM": (TEXT | {"num_key_value_heads": 4, "head_dim": 4}, "model.layers.0.self_attn.q_proj[0]"),
    "ViTForImageClassification": (VIT, "vit.layers.0.attention.q_proj[0]"),
    "MixtralForCausalLM": (MIXTURE, "model.layers.0.self_attn.q_proj[0]"),
}


def pretrained(name: str) -> nn.Module:
    transformers = importlib.import_module("transformers")
    kind = getattr(transformers, name)
    return kind(kind.config_class(**TRANSFORMERS[name][0])).eval()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_networks_of_transformers(name):
    torch.manual_seed(0)
    model, heads = pretrained(name), TRANSFORMERS[name][1]
    x = {"pixel_values": torch.randn(30, 3, 16, 16)} if "ViT" in name else {"input_ids": torch.randint(1, 40, (30, 6))}
    before = whole(model)
    found = shrink(model, [x], keep={heads: 3})
    assert len(found.cuts[heads].kept) == 3 and found.share < 1
    check_plan(found, pretrained(name), x)
    check_is_whole(model, before)


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "MixtralForCausalLM"])
def test_shares_of_networks_of_transformers_are_reached(name):
    torch.manual_seed(0)
    model, x = pretrained(name), {"input_ids": torch.randint(1, 40, (30, 6))}
    found = shrink(model, [x], keep=0.7)
    assert found.share <= 0.7 and found.measured < 0.6
    check_plan(found, pretrained(name), x)


def test_experts_of_a_mixture_have_sizes_that_their_product_takes():
    torch.manual_seed(0)
    model, x = pretrained("MixtralForCausalLM"), {"input_ids": torch.randint(1, 40, (30, 6))}
    name = "model.layers.0.mlp.experts.gate_up_proj"
    with pytest.raises(ValueError, match=r"asks for 13 units .* multiple of 4"):
        shrink(model, [x], keep={name: 13})
    assert len(shrink(model, [x], keep={name: 12}).cuts[name].kept) == 12


def test_what_is_measured_is_what_one_measures_on_the_samples_that_are_reported():
    model, x = mlp(), samples()
    found = shrink(model, x, keep=0.5)
    mine, theirs = model(x[::3]).detach().double(), found.model(x[::3]).detach().double()
    rms = (mine - theirs).square().mean().sqrt() / mine.var(0, correction=0).mean().sqrt()
    assert found.measured == pytest.approx(float(rms))
    assert found.n_samples == (200, 100)
    checked = shrink(model, x, check=samples(50, seed=1), keep=0.5)
    assert checked.n_samples == (300, 50)
    assert checked.measured == pytest.approx(output_error(model, checked.model, samples(50, seed=1)).relative)


def test_a_refit_errs_less_than_a_cut_alone():
    """The same units, with the old weights of the readers."""
    model, x = mlp(), samples(600)
    found = shrink(model, x, keep=0.5)
    first, second = (list(found.cuts[name].kept) for name in ("0", "2"))
    plain = apply_plan(mlp(), found.plan)
    with torch.no_grad():
        for layer, old, rows, columns in (
            (plain[0], model[0], first, slice(None)),
            (plain[2], model[2], second, first),
            (plain[4], model[4], slice(None), second),
        ):
            layer.weight.copy_(old.weight[rows][:, columns])
            layer.bias.copy_(old.bias[rows])
    assert found.measured < 0.7 * output_error(model, plain, x[::3]).relative


def test_chosen_units_err_less_than_others():
    model, x = mlp(), samples(600)
    found = shrink(model, x, keep={"0": 8})
    worse = 0
    for seed in range(5):
        units = torch.randperm(16, generator=torch.Generator().manual_seed(seed))[:8].sort().values
        cut = nn.functional.relu(model[0](x))[:, units]
        rows = torch.cat([cut, torch.ones(len(x), 1)], 1)
        wanted = model[2](functional.relu(model[0](x)))
        fitted = rows @ torch.linalg.lstsq(rows, wanted).solution
        error = (model[3:](fitted) - model(x)).square().mean().sqrt() / model(x).var(0, correction=0).mean().sqrt()
        worse += float(error.detach()) > found.measured
    assert worse >= 4


@pytest.mark.parametrize("max_loss", [0.02, 0.1, 0.3])
def test_a_largest_error_is_kept(max_loss):
    torch.manual_seed(4)
    model, x = mlp(), samples(900)
    found = shrink(model, x, max_loss=max_loss)
    assert found.measured <= max_loss
    assert found.n_samples == (600, 150)  # a third is held out: half of it chooses
    assert shrink(model, x, max_loss=3 * max_loss).share < found.share
    if max_loss > 0.02:
        assert found.share < 1


def test_a_largest_loss_of_a_score_is_kept():
    model, x = mlp(), samples(900)

    def score(one: nn.Module, batches: Any) -> float:
        return -10 * math.sqrt(sum(float((one(b) - model(b)).square().mean()) for b in batches) / len(batches))

    found = shrink(model, x, max_loss=0.5, score=score)
    assert found.score is not None and found.score[0] == 0
    assert found.score[0] - found.score[1] < 0.6 and found.share < 1
    assert found.curve[-1].score == found.score[1]


def test_with_neither_only_what_is_exact_goes():
    model = mlp().double()
    with torch.no_grad():
        model[0].weight[3], model[0].bias[3] = 2 * model[0].weight[1], 2 * model[0].bias[1]
    found = shrink(model, samples().double())
    assert {name: len(one.kept) for name, one in found.cuts.items()} == {"0": 15}
    assert found.measured < 1e-10
    assert shrink(model, samples().double(), leave="0").cuts == {}


def test_sizes_by_layer_are_as_asked():
    model = mlp()
    found = shrink(model, samples(), keep={"0": 7})
    assert found.model[0].out_features == 7 and found.model[2].in_features == 7 and found.model[2].out_features == 12
    assert shrink(model, samples(), keep={}).cuts == {}
    assert shrink(model, samples(), keep={"0": 16}).share == 1


def test_layers_of_a_kind_have_one_size_if_uniform():
    model = nn.Sequential(*(one for _ in range(4) for one in (nn.Linear(8, 8), nn.ReLU())))
    with torch.no_grad():
        model[2].weight.mul_(0.01)
    x = torch.randn(200, 8)
    kept = lambda found: {len(one.kept) for one in found.cuts.values()}  # noqa: E731
    assert len(kept(shrink(model, x, keep=0.5, uniform=True))) == 1
    assert len(kept(shrink(model, x, keep=0.5))) > 1


@pytest.mark.parametrize("step", [3, 4])
def test_sizes_are_multiples(step):
    found = shrink(mlp(), samples(), keep=0.5, round_to=step)
    assert found.cuts and all(len(one.kept) % step == 0 for one in found.cuts.values())
    with pytest.raises(ValueError, match=r"asks for 7 units of '0', which must be a multiple"):
        shrink(mlp(), samples(), keep={"0": 7}, round_to=step)


def test_sizes_that_rounding_makes_equal_are_on_the_curve_once():
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
    shares = [f"{point.share:.3f}" for point in shrink(model, samples(), keep=0.3, round_to=8).curve]
    assert len(shares) > 1 and len(set(shares)) == len(shares)


def test_layers_that_are_to_be_left_stay():
    found = shrink(mlp(), samples(), keep=0.7, leave=["2"])
    assert found.cuts.keys() == {"0"} and found.left["2"] == "left as asked"


def test_shares_of_multiplications():
    """Pixels multiply what a convolution costs, so that its channels go first."""
    make = lambda: nn.Sequential(  # noqa: E731
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 24),
        nn.Linear(24, 2),
    )
    x = torch.randn(60, 3, 8, 8)
    torch.manual_seed(0)
    found = shrink(make(), x, keep=0.5, per="flops")
    channels, units = (len(found.cuts[name].kept) if name in found.cuts else n for name, n in (("0", 8), ("4", 24)))
    cost = lambda c, u: 64 * 27 * c + 4 * c * u + 2 * u  # noqa: E731
    assert found.per == "flops" and found.share == pytest.approx(cost(channels, units) / cost(8, 24))
    assert found.share <= 0.5 and channels <= 4


def test_the_curve_falls_from_large_shares_to_small_and_holds_what_was_built():
    found = shrink(mlp(), samples(600), keep=0.5)
    shares = [one.share for one in found.curve]
    assert shares == sorted(shares, reverse=True)
    (built,) = [one for one in found.curve if one.measured is not None]
    assert (built.share, built.predicted, built.measured) == (found.share, found.predicted, found.measured)
    predicted = [one.predicted for one in found.curve]
    assert None not in predicted and predicted[0] < predicted[-1]
    assert found.predicted == pytest.approx(found.measured, rel=0.5)


def test_the_text_says_what_was_made():
    found = shrink(mlp(), samples(), keep=0.5)
    after = parameters(found.model)
    assert repr(found).startswith(f"Shrunk(parameters=323 -> {after}, measured=0.")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({"keep": 0}, "keep must be a share above 0 and at most 1, or units by layer; got 0"),
    "too much": ({"keep": 1.5}, "keep must be a share"),
    "true": ({"keep": True}, "keep must be a share .* got True"),
    "text": ({"keep": "half"}, "keep must be a share .* got 'half'"),
    "NaN": ({"keep": math.nan}, "keep must be a share .* got nan"),
    "both": ({"keep": 0.5, "max_loss": 0.1}, "exclude each other"),
    "no units": ({"keep": {"0": 0}}, "a whole number of units above 0 .* got 0 for '0'"),
    "true units": ({"keep": {"0": True}}, "a whole number of units above 0 .* got True for '0'"),
    "half units": ({"keep": {"0": 2.5}}, r"a whole number of units above 0 .* got 2\.5 for '0'"),
    "more units": ({"keep": {"0": 17}}, "asks for 17 units of '0', which has 16"),
    "no layer": ({"keep": {"9": 1}}, "'9' can't be cut: no layer has that name"),
    "outputs": ({"keep": {"4": 1}}, "'4' can't be cut: its units are the network's outputs"),
    "too little": ({"keep": 0.01}, r"keep=0\.01 can't be reached: .* leaves at least 0\.04"),
    "left": ({"keep": 0.1, "leave": "0"}, r"keep=0\.1 can't be reached"),
    "no loss": ({"max_loss": 0}, "max_loss must be a number above 0, got 0"),
    "true loss": ({"max_loss": True}, "max_loss must be a number above 0, got True"),
    "NaN loss": ({"max_loss": math.nan}, "max_loss must be a number above 0, got nan"),
    "text loss": ({"max_loss": "1%"}, "max_loss must be a number above 0, got '1%'"),
    "per": ({"keep": 0.5, "per": "units"}, "per must be 'parameters' or 'flops', got 'units'"),
    "round": ({"keep": 0.5, "round_to": 0}, "round_to must be a whole number above 0, got 0"),
    "half round": ({"keep": 0.5, "round_to": 2.0}, r"round_to must be a whole number above 0, got 2\.0"),
    "pattern": ({"keep": 0.5, "leave": "fc"}, "no layer of the model matches 'fc'"),
    "check": ({"keep": 0.5, "check": torch.zeros(5, 3)}, "the model cannot take a batch of shape"),
    "one to check": ({"max_loss": 0.5, "check": torch.zeros(1, 4)}, "max_loss needs at least two samples to check"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_are_wrong_raise(name):
    arguments, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        shrink(mlp(), samples(), **arguments)


@pytest.mark.parametrize("n", range(1, 3))
def test_fewer_than_three_samples_raise(n):
    with pytest.raises(ValueError, match=f"shrink needs at least 3 samples, got {n}"):
        shrink(mlp(), samples(n), keep=0.5)


def test_three_samples_are_enough_and_said_to_be_few():
    found = shrink(mlp(), samples(4), keep=0.5)
    assert found.share <= 0.5 and "fewer than three rows of data" in found.notes[0]
    assert all(bool(one.isfinite().all()) for one in found.model.parameters())


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("at", [0, 1])  # a sample to report on, and one to fit
def test_data_that_are_not_finite_raise(value, at):
    x = samples()
    x[at, 2] = value
    for wanted in ({"keep": 0.5}, {"max_loss": 0.5}):
        with pytest.raises(ValueError, match="NaN or infinity"):
            shrink(mlp(), x, **wanted)


def test_a_model_in_which_nothing_can_be_cut_stays_and_says_why():
    model = nn.Sequential(nn.Linear(4, 3))
    for wanted in ({"keep": 0.5}, {"max_loss": 0.5}):
        found = shrink(model, samples(), **wanted)
        assert (found.share, found.measured, found.cuts) == (1, 0, {})
        assert found.left == {"0": "its units are the network's outputs"}
        assert found.model is not model
    with pytest.raises(ValueError, match="'0' can't be cut: its units are the network's outputs"):
        shrink(model, samples(), keep={"0": 2})


def test_outputs_without_real_numbers_raise():
    class Classes(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).argmax(1)

    with pytest.raises(ValueError, match="no floating-point tensor"):
        shrink(Classes(*mlp()), samples(), keep=0.5)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = mlp()

    def forward(self, *, x: Tensor, scale: Tensor) -> Tensor:
        return self.net(x) * scale[:, None]


def test_data_come_in_all_ways_that_batches_do():
    torch.manual_seed(0)
    model, x = mlp(), samples()
    labels = torch.arange(len(x))
    expected = shrink(model, list(x.split(20)), keep=0.5)
    pairs = list(zip(x.split(20), labels.split(20), strict=True))
    loader = DataLoader(TensorDataset(x, labels), batch_size=20)
    for data in (x, x.numpy(), pairs, [list(pair) for pair in pairs], loader):
        found = shrink(model, data, keep=0.5)
        assert found.cuts.keys() == expected.cuts.keys()
        assert found.measured == pytest.approx(expected.measured, rel=0.1)
    named = [{"x": part, "scale": torch.full((len(part),), 2.0)} for part in x.split(20)]
    outer = ByName()
    outer.net.load_state_dict(model.state_dict())
    found = shrink(outer, named, keep=0.5)
    assert found.measured == pytest.approx(expected.measured, rel=0.2)


def test_the_same_seed_gives_the_same_plan():
    model, x = mlp(), samples()
    first, again = shrink(model, x, keep=0.5, seed=3), shrink(model, x, keep=0.5, seed=3)
    assert first.plan == again.plan and first.measured == again.measured
    other = shrink(model, x, keep=0.5, seed=4)
    assert [one.predicted for one in first.cuts.values()] != [one.predicted for one in other.cuts.values()]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_stay(dtype):
    torch.manual_seed(0)
    model = mlp()
    expected = shrink(model, samples(), keep={"0": 12})
    found = shrink(model.to(dtype), samples().to(dtype), keep={"0": 12})
    assert {one.dtype for one in found.model.parameters()} == {dtype}
    assert found.measured == pytest.approx(expected.measured, abs=0.02)


@pytest.mark.parametrize("training", [False, True])
def test_modes_requests_for_gradients_and_hooks_stay(training):
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.ReLU(), nn.Linear(16, 3)).train(
        training
    )
    model[1].eval()  # frozen
    model[0].weight.requires_grad_(False)
    model[4].weight.grad = torch.ones_like(model[4].weight)
    handle = model[3].register_forward_hook(lambda *_: None)
    hooks = dict(model[3]._forward_hooks)
    before = whole(model)
    found = shrink(model, samples(), keep=0.5)
    for one in (model, found.model):
        assert [module.training for module in one] == [training, False, training, training, training]
        assert [p.requires_grad for p in one.parameters()] == [False, True, True, True, True, True]
    check_is_whole(model, before)
    assert dict(model[3]._forward_hooks) == hooks and model[4].weight.grad.eq(1).all()
    assert found.model[4].weight.grad is None
    handle.remove()


def test_random_states_and_switches_stay():
    class Noisy(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + 0 * torch.rand_like(x))

    model, x = Noisy(*mlp()), samples()
    data = DataLoader(TensorDataset(x), batch_size=30, shuffle=True)
    before = torch.get_rng_state(), torch.is_grad_enabled(), torch.backends.mkldnn.enabled, torch.get_num_threads()
    shrink(model, x, keep=0.5)
    assert torch.equal(torch.get_rng_state(), before[0])
    shrink(model, data, keep=0.5)
    assert (torch.is_grad_enabled(), torch.backends.mkldnn.enabled, torch.get_num_threads()) == before[1:]


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_it_does_the_same_in_blocks_of_the_users(block):
    model, x = mlp(), samples()
    expected = shrink(model, x, keep=0.5)
    with block():
        found = shrink(model, x, keep=0.5)
    assert found.plan == expected.plan and found.measured == pytest.approx(expected.measured)
    assert not any(one.is_inference() for one in found.model.parameters())


def test_tied_weights_stay_tied():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.inner, self.back = nn.Embedding(20, 8), nn.Linear(8, 16), nn.Linear(16, 8)
            self.out = nn.Linear(8, 20, bias=False)
            self.out.weight = self.table.weight

        def forward(self, x: Tensor) -> Tensor:
            h = self.table(x)
            return self.out(h + self.back(torch.relu(self.inner(h))))

    model, x = Tied(), torch.randint(20, (100, 5))
    found = shrink(model, x, keep=0.8)
    assert found.model.out.weight is found.model.table.weight
    check_plan(found, Tied(), x)
