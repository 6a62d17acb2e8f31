"""Penalties that watch a model: which activations they take, in which loops they work, what they leave behind."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from cofire.nets import Site
from cofire.nets.penalties import (
    CorrelationPenalty,
    DeCovPenalty,
    VICRegCovariancePenalty,
    WeightCorrelationPenalty,
    correlation_penalty,
    decov_penalty,
    vicreg_covariance_penalty,
    weight_correlation_penalty,
)

FUNCTIONAL = {
    CorrelationPenalty: correlation_penalty,
    DeCovPenalty: decov_penalty,
    VICRegCovariancePenalty: vicreg_covariance_penalty,
}


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 6), nn.ReLU(inplace=True), nn.Linear(6, 3))


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True))


@pytest.mark.parametrize("kind", FUNCTIONAL)
def test_adds_what_the_function_gives_and_its_gradient(kind):
    model, x = mlp(), torch.randn(16, 8)
    with kind(model, ["0", "2"], weight=0.3) as penalty:
        found = gradients(model, model(x).sum() + penalty())
    h = model[1](model[0](x))
    h2 = model[2](h).relu()
    expected = gradients(model, model(x).sum() + 0.3 * (FUNCTIONAL[kind](h) + FUNCTIONAL[kind](h2)))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert penalty.values["0"].item() == pytest.approx(FUNCTIONAL[kind](h).item())
    assert not penalty.values["0"].requires_grad
    assert penalty.value.item() == pytest.approx(sum(one.item() for one in penalty.values.values()))


@pytest.mark.parametrize("kind", FUNCTIONAL)
def test_takes_activations_as_well(kind):
    x, y = torch.randn(9, 4, 5), torch.randn(9, 7)
    penalty = kind(weight=2.0)
    assert penalty(x).item() == pytest.approx(2 * FUNCTIONAL[kind](x).item())
    assert penalty(x, unit_axis=1).item() == pytest.approx(2 * FUNCTIONAL[kind](x, unit_axis=1).item())
    mask = torch.rand(9) < 0.5
    total = FUNCTIONAL[kind](x, mask=mask) + FUNCTIONAL[kind](y, mask=mask)
    assert penalty(x, y, mask=mask).item() == pytest.approx(2 * total.item(), rel=1e-5)


def test_options_reach_the_function():
    x = torch.randn(20, 9)
    for options in ({"debiased": True}, {"scale": "per_sample"}, {"top": 0.2}):
        assert CorrelationPenalty(**options)(x).item() == pytest.approx(correlation_penalty(x, **options).item())
    with pytest.raises(ValueError, match="top"):
        CorrelationPenalty(top=2.0)
    with pytest.raises(ValueError, match="scale"):
        CorrelationPenalty(scale="batch")


def test_stages_and_activations_applied_in_place():
    model, x = mlp(), torch.randn(16, 8)
    with CorrelationPenalty(model, ["2", "2:pre"]) as penalty:
        model(x)
        penalty().backward()
    u = model[2](model[1](model[0](x)))
    assert penalty.values["2:pre"].item() == pytest.approx(correlation_penalty(u).item(), rel=1e-5)
    assert penalty.values["2"].item() == pytest.approx(correlation_penalty(u.relu()).item(), rel=1e-5)
    with CorrelationPenalty(model, "2", stage="pre") as penalty:
        model(x)
        assert penalty().item() == pytest.approx(correlation_penalty(u).item(), rel=1e-5)


def test_a_layer_and_its_activation_module_count_once():
    model = mlp()
    with CorrelationPenalty(model) as penalty:
        model(torch.randn(16, 8))
        penalty()
    assert list(penalty.values) == ["0", "2", "4"]
    with CorrelationPenalty(model, nn.Tanh) as penalty:
        model(torch.randn(16, 8))
        penalty()
    assert list(penalty.values) == ["1"]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc(x)
        h += 10 * x
        return F.relu(h)


def test_what_is_changed_in_place_later_is_taken_as_it_was():
    model, x = Residual(), torch.randn(12, 6)
    with CorrelationPenalty(model, "fc") as penalty:
        model(x)
        penalty().backward()
    assert penalty.value.item() == pytest.approx(correlation_penalty(model.fc(x)).item(), rel=1e-5)


def test_convolutions_have_channels_as_units():
    model, x = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU()), torch.randn(4, 2, 6, 6)
    with DeCovPenalty(model, "0") as penalty:
        y = model(x)
        penalty().backward()
    assert penalty.value.item() == pytest.approx(decov_penalty(y, unit_axis=1).item(), rel=1e-5)
    assert model[0].weight.grad.abs().sum() > 0


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.out = nn.Embedding(20, 8), nn.GRU(8, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        return self.out(self.rnn(self.embed(ids))[0])


@pytest.mark.parametrize("given", ["attention_mask", "tensor", "callable"])
def test_padding_does_not_count(given):
    model, ids, mask = Tagger(), torch.randint(20, (4, 7)), torch.rand(4, 7) < 0.6
    way = {
        "attention_mask": "attention_mask",
        "tensor": mask,
        "callable": lambda args, kwargs: kwargs["attention_mask"],
    }
    with CorrelationPenalty(model, ["rnn", "embed"], mask=way[given]) as penalty:
        model(ids, attention_mask=mask)
        penalty().backward()
    hidden = model.rnn(model.embed(ids))[0]
    assert penalty.values["rnn"].item() == pytest.approx(correlation_penalty(hidden[mask]).item(), rel=1e-5)
    assert model.rnn.weight_hh_l0.grad.abs().sum() > 0


def test_packed_sequences_have_no_padding():
    rnn, x, lengths = nn.LSTM(4, 5, batch_first=True), torch.randn(3, 6, 4), [6, 3, 2]
    with CorrelationPenalty(rnn, "") as penalty:
        packed, _ = rnn(pack_padded_sequence(x, lengths, batch_first=True))
        penalty().backward()
    assert penalty.value.item() == pytest.approx(correlation_penalty(packed.data).item(), rel=1e-5)


def test_transformers_have_tokens_as_samples():
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    x, padding = torch.randn(3, 5, 8), torch.arange(5) > torch.tensor([[4], [2], [3]])
    with CorrelationPenalty(model, "linear1", mask="src_key_padding_mask") as penalty:
        model(x, src_key_padding_mask=padding)
        penalty().backward()
    assert penalty.value.item() > 0.5
    assert model.linear1.weight.grad.abs().sum() > 0


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[1], 5)
        for step in x:
            h = self.cell(step, h)
        return h


def test_the_calls_of_a_layer_are_pooled():
    model, x, states = Shared(), torch.randn(3, 10, 4), []
    with CorrelationPenalty(model, "cell") as penalty:
        model.cell.register_forward_hook(lambda module, args, h: states.append(h))
        model(x)
        assert penalty().item() == pytest.approx(correlation_penalty(torch.cat(states)).item(), rel=1e-5)
        assert list(penalty.values) == ["cell"] and len(states) == 3
    with CorrelationPenalty(model, Site("cell", call=2)) as penalty:
        h = model(torch.randn(3, 10, 4))
        assert penalty().item() == pytest.approx(correlation_penalty(h).item(), rel=1e-5)


# in training loops


def test_only_the_last_pass_counts_whatever_ran_before():
    model, x = mlp(), torch.randn(16, 8)
    with CorrelationPenalty(model, "0") as penalty:
        model.eval()
        with torch.no_grad():
            model(torch.randn(100, 8))
        model.train()
        model(torch.randn(5, 8))
        model(x)
        first, again = penalty(), penalty()
    assert first.item() == again.item() == pytest.approx(correlation_penalty(model[:2](x)).item(), rel=1e-5)


def test_gradients_accumulate():
    model, parts = mlp(), torch.randn(3, 16, 8)
    with CorrelationPenalty(model, "0", weight=0.5) as penalty:
        for part in parts:
            (model(part).square().mean() + penalty()).backward()
    found = [p.grad.clone() for p in model.parameters()]
    expected = gradients(
        model, sum(model(part).square().mean() + 0.5 * correlation_penalty(model[:2](part)) for part in parts)
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_with_a_constant_unit_and_a_scaler(dtype):
    model = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))
    with torch.no_grad():
        model[0].bias[4], model[0].weight[4] = -1.0, 0.0
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=128.0)
    with CorrelationPenalty(model, "0", weight=0.1) as penalty:
        for _ in range(3):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype):
                loss = model(torch.randn(16, 8)).float().square().mean() + penalty()
            assert loss.dtype == torch.float32
            assert loss.isfinite()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            assert scaler.get_scale() == 128.0
    assert all(p.isfinite().all() for p in model.parameters())
    assert model[0].bias[4] == -1.0


def test_a_scaler_skips_the_step_of_a_penalty_that_is_not_a_number():
    model = nn.Linear(4, 3)
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=128.0)
    before = model.weight.detach().clone()
    with CorrelationPenalty(model, "") as penalty:
        model(torch.full((5, 4), torch.inf))
        scaler.scale(penalty()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model.weight, before)
    assert scaler.get_scale() == 64.0


def test_compiled_models_give_the_same():
    model, x = mlp(), torch.randn(16, 8)
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    with CorrelationPenalty(compiled, "0", weight=0.3) as penalty:
        found = gradients(model, compiled(x).sum() + penalty())
    expected = gradients(model, model(x).sum() + 0.3 * correlation_penalty(model[:2](x)))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    torch._dynamo.reset()


def test_checkpointed_layers_count_once_and_get_a_gradient():
    model, x = mlp(), torch.randn(16, 8, requires_grad=True)

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, x: Tensor) -> Tensor:
            return torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False)

    whole = Checkpointed()
    with CorrelationPenalty(whole, "body.0") as penalty:
        found = gradients(model, whole(x).sum() + penalty())
    assert list(penalty.values) == ["body.0"]
    expected = gradients(model, model(x).sum() + correlation_penalty(model[:2](x)))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", [*FUNCTIONAL, WeightCorrelationPenalty])
def test_training_lowers_it(kind):
    torch.manual_seed(1)
    model, x = mlp(), torch.randn(64, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with kind(model, "0") as penalty:
        values = []
        for _ in range(60):
            optimizer.zero_grad()
            model(x)
            penalty().backward()
            optimizer.step()
            values.append(penalty.value.item())
    assert values[-1] < 0.8 * values[0]


def test_nothing_of_the_model_changes(n_hooks):
    model, x = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.ReLU()), torch.randn(9, 8)
    torch.manual_seed(4)
    plain = model(x)
    statistics = model[1].running_mean.clone()
    model[1].reset_running_stats()
    torch.manual_seed(4)
    with CorrelationPenalty(model, "0") as penalty:
        watched = model(x)
        penalty()
        assert n_hooks(model) > 0
        assert not list(penalty.parameters())
        assert not list(penalty.children())
    assert torch.equal(plain, watched)
    assert torch.equal(model[1].running_mean, statistics)
    assert n_hooks(model) == 0


def test_closing_lets_go_of_model_and_activations(n_hooks):
    model = mlp()
    penalty = CorrelationPenalty(model, "0")
    model(torch.randn(5, 8))
    penalty.close()
    penalty.close()
    assert n_hooks(model) == 0
    with pytest.raises(RuntimeError, match="closed"):
        penalty()
    with pytest.raises(KeyError, match="inside"), CorrelationPenalty(model, "0"):
        raise KeyError("inside")
    assert n_hooks(model) == 0
    watched = weakref.ref(model)
    del model, penalty
    gc.collect()
    assert watched() is None


def test_several_penalties_stand_side_by_side(n_hooks):
    model, x = mlp(), torch.randn(16, 8)
    with CorrelationPenalty(model, "0") as one, DeCovPenalty(model, "2") as other:
        model(x)
        (one() + other()).backward()
    assert one.value.item() == pytest.approx(correlation_penalty(model[:2](x)).item(), rel=1e-5)
    assert other.value.item() == pytest.approx(decov_penalty(model[:4](x)).item(), rel=1e-5)
    assert n_hooks(model) == 0


# weights, schedules, errors


def test_weight_correlation_sums_over_layers_and_averages_over_gates():
    model = nn.ModuleDict({"conv": nn.Conv2d(4, 6, 3, groups=2), "turned": nn.ConvTranspose1d(4, 6, 3, groups=2)})
    model["rnn"] = nn.LSTM(3, 5)
    penalty = WeightCorrelationPenalty(model, ["conv", "turned", "rnn"], weight=0.1)
    total = penalty()
    total.backward()
    expected = weight_correlation_penalty(model["conv"].weight, groups=2).item()
    assert penalty.values["conv"].item() == pytest.approx(expected)
    gates = [*model["rnn"].weight_ih_l0.chunk(4), *model["rnn"].weight_hh_l0.chunk(4)]
    by_gate = [weight_correlation_penalty(gate).item() for gate in gates]
    assert penalty.values["rnn"].item() == pytest.approx(sum(by_gate) / 8)
    assert total.item() == pytest.approx(0.1 * penalty.value.item())
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if "weight" in name)
    weight = torch.randn(4, 3)
    assert WeightCorrelationPenalty(weight=2.0)(weight).item() == pytest.approx(
        2 * weight_correlation_penalty(weight).item()
    )


def test_a_weight_may_follow_the_step():
    penalty, x = CorrelationPenalty(weight=lambda step: 0.1 * step), torch.randn(9, 4)
    plain = correlation_penalty(x).item()
    assert [penalty(x).item() / plain for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    with torch.no_grad():
        penalty(x)
    assert penalty.n_steps == 3  # looking on is no step
    state = penalty.state_dict()
    resumed = CorrelationPenalty(weight=lambda step: 0.1 * step)
    resumed.load_state_dict(state)
    assert resumed.weight == pytest.approx(0.3)
    penalty.weight = 7.0
    assert penalty(x).item() == pytest.approx(7 * plain)
    assert not penalty.is_scheduled


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "a", None, lambda step: -1.0])
def test_weights_that_make_no_sense_are_refused(weight):
    with pytest.raises(ValueError, match="weight of a penalty"):
        CorrelationPenalty(weight=weight)(torch.randn(5, 3))


def test_errors_say_what_to_do(n_hooks):
    model = mlp()
    with pytest.raises(ValueError, match=r"did you mean|there are"):
        CorrelationPenalty(model, "encoder")
    assert n_hooks(model) == 0
    with pytest.raises(RuntimeError, match="call it with activations"):
        CorrelationPenalty()()
    with pytest.raises(RuntimeError, match="call it with weights"):
        WeightCorrelationPenalty()()
    with pytest.raises(ValueError, match="has weights"):
        WeightCorrelationPenalty(model, nn.Tanh)
    with CorrelationPenalty(model, "0") as penalty, pytest.raises(RuntimeError, match=r"never ran so far: 0\."):
        penalty()
    wide = nn.Linear(4, 3)
    with CorrelationPenalty(wide, "", mask=torch.ones(2, 9).bool()) as penalty:
        wide(torch.randn(5, 7, 4))
        with pytest.raises(ValueError, match="does not fit"):
            penalty()


def test_a_layer_that_does_not_run_is_named():
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "unused": nn.Linear(4, 3)})
    with CorrelationPenalty(model, ["used", "unused"]) as penalty:
        model["used"](torch.randn(5, 4))
        with pytest.raises(RuntimeError, match="unused"):
            penalty()
    with CorrelationPenalty(model, "!unused") as penalty:
        model["used"](torch.randn(5, 4))
        assert penalty().isfinite()
