"""Modules with several names, parts without hooks, exchanged modules, and errors while hooks are put on.

The law: no hook is left, the outputs are the same bit for bit, and each layer is measured as on the same model in which
no two names share a module.
"""

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

import cofire
from cofire.nets.layer_names import first_names, named_layers
from cofire.nets.penalties import (
    CorrelationPenalty,
    WeightCorrelationPenalty,
    correlation_penalty,
    weight_correlation_penalty,
)
from cofire.nets.redundancy import redundancy_report, weight_redundancy_report
from cofire.record import Tracker, correlation
from cofire.stats import Moments

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))

pytestmark = pytest.mark.filterwarnings("ignore:.*(jit|TorchScript|deprecated|did not run while others).*")


def reused_in_a_sequence() -> nn.Module:
    act = nn.ReLU()
    return nn.Sequential(nn.Linear(4, 6), act, nn.Linear(6, 6), act, nn.Linear(6, 2))


def reused_layer() -> nn.Module:
    layer = nn.Linear(6, 6)
    return nn.Sequential(nn.Linear(4, 6), layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(6, 2))


def tied_containers() -> nn.Module:
    block = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    return nn.Sequential(nn.Linear(4, 6), block, nn.Sequential(block, nn.Dropout(0.0)), nn.Linear(6, 2))


class Named(nn.Module):
    """The same modules as attributes, in a list, in a dict and in a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.GELU()
        self.first = nn.Linear(4, 6)
        self.alias = self.first
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(6, 6), self.act) for _ in range(2)])
        self.table = nn.ModuleDict({"act": self.act, "norm": nn.LayerNorm(6), "block": self.blocks[1]})
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.first(x))
        for block in self.blocks:
            h = self.table["norm"](block(h))
        return self.last(h)


class OneActivation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.body = nn.Sequential(nn.Linear(4, 6), self.act, nn.Linear(6, 5), self.act)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.head(self.body(x)))


class Branching(nn.Module):
    """Runs a part that shares a module with the rest in its second pass only."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act, self.passes = nn.Linear(4, 6), nn.Linear(6, 6), nn.Tanh(), 0
        self.more = nn.Sequential(nn.Linear(6, 6), self.act, self.b)

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        h = self.act(self.a(x))
        return self.b(h) if self.passes % 2 else self.more(h)


class OnValues(nn.Module):
    """Can't run on fake tensors: the pass that the user makes is observed."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.ReLU()
        self.layers = nn.Sequential(nn.Linear(4, 6), act, nn.Linear(6, 6), act)
        self.again = self.layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) if float(x.sum()) < 1e9 else x


SHARED: dict[str, Callable[[], nn.Module]] = {
    one.__name__: one
    for one in (reused_in_a_sequence, reused_layer, tied_containers, Named, OneActivation, Branching, OnValues)
}


def scripted() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), torch.jit.script(nn.ReLU()), nn.Linear(6, 2))


def scripted_block() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), torch.jit.script(nn.Sequential(nn.Linear(6, 6), nn.ReLU())), nn.Linear(6, 2))


def traced() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), torch.jit.trace(nn.Tanh(), torch.ones(2, 6)), nn.Linear(6, 2))


def symbolic() -> nn.Module:
    return nn.Sequential(torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 6), nn.ReLU())), nn.Linear(6, 2))


def exported() -> nn.Module:
    part = torch.export.export(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), (torch.ones(40, 6),)).module()
    return nn.Sequential(nn.Linear(4, 6), part, nn.Linear(6, 2))


PARTS = {one.__name__: one for one in (scripted, scripted_block, traced, symbolic, exported)}


def unshared(model: nn.Module) -> nn.Module:
    """Return a copy in which each name has a module of its own."""
    made = copy.deepcopy(model)
    for name, child in made._modules.items():
        made._modules[name] = unshared(child)
    return made


def restart(*models: nn.Module) -> None:
    """Let models that count their passes begin anew."""
    for model in models:
        if isinstance(model, Branching):
            model.passes = 0


def track(model: nn.Module, tmp_path) -> None:
    with Tracker(model, [correlation()], every=1, sink=[].extend) as tracker:
        for _ in range(2):
            model(X).sum().backward()
            tracker.step()


def penalize(model: nn.Module, tmp_path) -> None:
    with CorrelationPenalty(model) as penalty:
        model(X)
        penalty()


def penalize_weights(model: nn.Module, tmp_path) -> None:
    penalty = WeightCorrelationPenalty(model)
    try:
        model(X)
        penalty()
    finally:
        penalty.close()


def capture(model: nn.Module, tmp_path) -> None:
    with cofire.capture(model):
        model(X)


USES = [
    capture,
    track,
    penalize,
    penalize_weights,
    lambda model, _: redundancy_report(model, [X, X]),
    lambda model, _: weight_redundancy_report(model),
    lambda model, _: cofire.nets.wire(model, X),
]


@pytest.mark.parametrize("kind", [*SHARED, *PARTS])
def test_no_hook_is_left_and_outputs_stay(kind, n_hooks, tmp_path):
    model = {**SHARED, **PARTS}[kind]()
    before, twin = n_hooks(model), {**SHARED, **PARTS}[kind]()
    twin.load_state_dict(model.state_dict())
    for number, use in enumerate(USES):
        use(model, tmp_path / str(number))
        assert n_hooks(model) == before
    restart(model, twin)
    with cofire.capture(model):
        got = model(X), model(X)
    assert all(map(torch.equal, got, (twin(X), twin(X)))) and n_hooks(model) == before


@pytest.mark.parametrize("stage", ["pre", "post"])
@pytest.mark.parametrize("kind", SHARED)
def test_layers_are_measured_as_without_sharing(kind, stage):
    model = SHARED[kind]()
    twin = unshared(model)
    kinds = {type(one) for one in model.modules()}
    asked = ["*", *({nn.ReLU, nn.Tanh, nn.GELU} & kinds)]
    first = first_names(named_layers(model))
    rows, calls, reasons = {}, {}, {}
    for one, per_call in ((model, False), (twin, False), (model, True)):
        restart(one)
        with torch.no_grad(), cofire.capture(one, asked, stage=stage, per_call=per_call) as found:
            for _ in range(2):
                one(X)
        if per_call:
            calls = dict(found)
        else:
            rows[one], reasons[one] = dict(found), found.left_out
    assert "it can't be read" not in " ".join([*found.left_out.values(), *reasons[model].values()])
    apart: dict[str, list[Tensor]] = {}
    for name, x in rows[twin].items():
        apart.setdefault(first[name], []).append(x)
    assert rows[model].keys() == apart.keys()
    for name, of_it in apart.items():
        if len({x.shape[1] for x in of_it}) > 1:
            assert "per_call=True" in reasons[model][name]
            continue
        # The order of rows is that of the calls, which names don't tell.
        expected = torch.cat(of_it)
        order, wanted = rows[model][name].sort(dim=0).values, expected.sort(dim=0).values
        torch.testing.assert_close(order, wanted, rtol=0, atol=0)
        assert sum(len(x) for call, x in calls.items() if call.partition("#")[0] == name) == len(expected)


@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_what_lies_around_parts_without_hooks_is_measured(kind):
    model = PARTS[kind]()
    with torch.no_grad(), cofire.capture(model) as found:
        model(X)
    assert list(found) == ["0", "2"] and "TorchScript" in found.left_out["1"]
    torch.testing.assert_close(found["0"], model[:2](X).detach())
    torch.testing.assert_close(found["2"], model(X).detach())
    assert [layer.name for layer in cofire.nets.wire(model, X).layers if not layer.assumed] == ["0", "2"]
    with pytest.raises(ValueError, match="TorchScript"), cofire.capture(model, "1"):
        pass


def test_layers_inside_scripted_parts_are_left_out_with_the_reason():
    model = scripted_block()
    report = redundancy_report(model, [X])
    assert "TorchScript" in report.left_out["1.0"]
    assert {layer.layer for layer in report.layers if layer.activations} == {"0", "2"}
    assert "TorchScript" in weight_redundancy_report(scripted_block()).left_out["1.0.weight"]


def test_a_model_in_torchscript_is_refused_in_one_line():
    model = torch.jit.script(nn.Sequential(nn.Linear(4, 3)))
    for use in (lambda: CorrelationPenalty(model), lambda: redundancy_report(model, [X])):
        with pytest.raises(ValueError, match=r"^cannot capture a RecursiveScriptModule: it is TorchScript"):
            use()


def test_scripting_works_after_a_capture():
    model = reused_in_a_sequence()
    capture(model, None)
    assert torch.equal(torch.jit.script(model)(X), model(X))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["reused_in_a_sequence", "Branching", "OnValues"])
@pytest.mark.parametrize("use", [capture, penalize, penalize_weights, track])
def test_errors_while_hooks_are_put_on_leave_none(use, kind, error, monkeypatch, n_hooks, tmp_path):
    expected, count = SHARED[kind](), None
    for fails_at in range(1, 60, 5):
        if count is not None and count.total() < fails_at - 5:
            break
        model = SHARED[kind]()
        model.load_state_dict(expected.state_dict())
        with monkeypatch.context() as patch, suppress(error, ValueError):
            # ValueError where it came inside the forward, which goes on.
            count = failing_registration(patch, error("not here"), fails_at)
            use(model, tmp_path / str(fails_at))
        assert n_hooks(model) == 0
        restart(model, expected)
        assert torch.equal(model(X), expected(X))


def failing_registration(patch: pytest.MonkeyPatch, error: BaseException, fails_at: int) -> Counter[str]:
    """Let one registration of a hook raise; return the count of all."""
    count = Counter[str]()

    def failing(register: Callable[..., object]) -> Callable[..., object]:
        def registering(*args, **kwargs):
            count[register.__name__] += 1
            if count.total() == fails_at:
                raise error
            return register(*args, **kwargs)

        return registering

    for name in ("register_forward_hook", "register_forward_pre_hook"):
        patch.setattr(nn.Module, name, failing(getattr(nn.Module, name)))
    return count


def test_quantized_layers_are_not_said_to_have_never_run():
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
    with (
        pytest.raises(ValueError, match=r"no layer could be captured \(0: its weight is packed"),
        cofire.capture(model),
    ):
        model(X)


# Exchanged modules


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def exchange(model: nn.Sequential) -> None:
    model[0] = nn.Linear(4, 6)


def widen(model: nn.Sequential) -> None:
    model[0], model[2] = nn.Linear(4, 9), nn.Linear(9, 3)


def lengthen(model: nn.Sequential) -> None:
    model.append(nn.Tanh())
    model.append(nn.Linear(3, 3))


def tie(model: nn.Sequential) -> None:
    model[2] = nn.Linear(6, 3)
    model.insert(3, model[1])


@pytest.mark.parametrize("change", [exchange, widen, lengthen, tie])
def test_a_changed_structure_is_measured_anew(change, n_hooks, tmp_path):
    model = network()
    with CorrelationPenalty(model) as penalty:
        model(X)
        penalty()
        change(model)
        model(X)
        got = penalty(), dict(penalty.values)
        with CorrelationPenalty(model) as fresh:
            model(X)
            assert torch.equal(fresh(), got[0]) and fresh.values == got[1]
    assert n_hooks(model) == 0
    model = network()
    with cofire.capture(model, into=Batches) as found:
        model(X)
        change(model)
        model(X)
    with cofire.capture(model) as alone:
        model(X)
    for name in alone:
        assert torch.equal(found[name].batches[-1], alone[name]) or "units" in found.left_out[name]
    assert n_hooks(model) == 0


class Batches:
    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def update(self, rows: Tensor) -> None:
        self.batches.append(rows)


def test_a_part_of_a_fused_module_can_be_exchanged(n_hooks):
    model, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(3, 5, 8)
    with torch.no_grad(), cofire.capture(model, "linear1") as found:
        model(x)
        model.linear1 = nn.Linear(8, 16)
        got = model(x)
    with torch.no_grad():
        assert torch.equal(got, model(x))
    assert n_hooks(model) == 0 and found["linear1"].shape == (30, 16) and "" not in found.left_out


def test_a_module_that_the_forward_exchanges_is_left_out_with_the_reason(n_hooks):
    class Exchanges(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = self.a(x)
            self.b = nn.Linear(6, 3)
            return self.b(h)

    model = Exchanges()
    with cofire.capture(model) as found:
        for _ in range(3):
            model(X)
    assert found["a"].shape == (120, 6) and "structure has changed while it ran" in found.left_out["b"]
    assert n_hooks(model) == 0


def test_a_module_exchanged_while_a_tracker_runs_is_recorded():
    model, rows = network(), []
    with Tracker(model, [correlation(sites="0")], every=1, sink=rows.extend) as tracker:
        for number in range(3):
            if number == 1:
                exchange(model)
            model(X).sum().backward()
            tracker.step()
    got = [row.value for row in rows if row.measure == "nc"]
    expected = Moments().update(model[:2](X)).summary().mean_abs
    assert len(got) == 3 and got[0] != got[1] and got[1:] == pytest.approx([expected, expected])


def test_a_layer_that_was_taken_away_is_said_to_be_missing(n_hooks):
    model = network()
    with CorrelationPenalty(model, "2") as penalty:
        model(X)
        penalty()
        del model[2]
        model(X)
        with pytest.raises(RuntimeError, match="the model's structure has changed: no layer of the model matches '2'"):
            penalty()
        model.append(nn.Linear(6, 3))
        assert torch.equal(correlation_penalty(model(X)), penalty())
    assert n_hooks(model) == 0


def test_a_pass_that_runs_none_of_the_layers_has_no_old_value():
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor, skip: bool = False) -> Tensor:
            return x if skip else self.fc(x)

    model = Skips()
    with CorrelationPenalty(model, "fc") as penalty:
        model(X)
        penalty()
        model(X, skip=True)
        with pytest.raises(RuntimeError, match="no layer could be read in the last forward pass"):
            penalty()


def test_the_weights_of_an_exchanged_module_are_read_as_it_uses_them():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4, 6))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.w

    model = nn.Sequential(Own(), nn.ReLU(), nn.Linear(6, 3))
    penalty = WeightCorrelationPenalty(model, "0")
    model(X)
    assert torch.equal(penalty(), weight_correlation_penalty(model[0].w.T))
    model[0] = Own()
    with pytest.raises(ValueError, match="no layer that matches '0' has weights"):
        penalty()
    model(X)
    assert torch.equal(penalty(), weight_correlation_penalty(model[0].w.T))
    penalty.close()
