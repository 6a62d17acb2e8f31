"""Capturing changes nothing: outputs, gradients, statistics, random numbers, hooks."""

import copy
import gc
import io
import threading
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils.checkpoint import checkpoint

import cofire
from cofire.nets import Capture
from cofire.nets.capturing.uncompiled import eager
from cofire.nets.penalties import CorrelationPenalty


def _step(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(7)
    output = model(x)
    output.square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    return {"output": output, "random": torch.rand(3), **gradients, **model.state_dict()}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("stage", ["pre", "post"])
def test_nothing_changes_bit_for_bit(net, train, stage):
    net.train(train)
    twin, x = copy.deepcopy(net), torch.randn(5, 8)
    expected = _step(twin, x)
    with cofire.capture(net, stage=stage):
        got = _step(net, x)
    assert [module.training for module in net.modules()] == [train] * 7
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(got[name], value), name


def test_layers_of_every_kind_give_the_same_output(case):
    model, x = case.make().eval(), case.x()
    with torch.no_grad():
        expected = model(x)
        with cofire.capture(model):
            got = model(x)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def _encoder(**options) -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.Sequential(nn.Linear(8, 8), nn.TransformerEncoder(layer, 2, **options)).eval()


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_fused_attention_in_eval_mode_is_seen_and_gives_the_same_output(padded, n_hooks):
    model, x = _encoder()[1], torch.randn(3, 5, 8)
    padding = torch.arange(5) >= torch.tensor([5, 3, 4])[:, None]
    inputs = {"src_key_padding_mask": padding} if padded else {}
    with torch.no_grad():
        expected = model(x, **inputs)
        with cofire.capture(model, ["*", "layers.1", ""]) as activations:
            got = model(x, **inputs)
    assert torch.equal(got, expected) and n_hooks(model) == 0
    assert torch.equal(activations[""], expected.flatten(0, 1))
    kept = ~padding.flatten() if padded else slice(None)
    torch.testing.assert_close(activations["layers.1"][kept], expected.flatten(0, 1)[kept])
    assert activations["layers.0.linear1"].shape == (15, 16)


def test_fused_attention_runs_once_for_users_hooks():
    model, x, seen = _encoder(enable_nested_tensor=False), torch.randn(3, 5, 8), []
    model[1].layers[0].norm1.register_forward_hook(lambda *_: seen.append(1))
    with torch.no_grad():
        expected = model(x)
        with cofire.capture(model), cofire.capture(model, "1.layers.1.linear1"):
            assert torch.equal(model(x), expected)
    assert len(seen) == 2


def test_two_captures_of_fused_attention_change_nothing():
    model, x = _encoder(enable_nested_tensor=False), torch.randn(3, 5, 8)
    with torch.no_grad():
        expected = model(x)
        with cofire.capture(model), cofire.capture(model, "1.layers.1.linear1"):
            assert torch.equal(model(x), expected)


def test_requires_grad_and_frozen_parameters_stay(net):
    net.fc1.requires_grad_(False)
    before = {name: p.requires_grad for name, p in net.named_parameters()}
    with cofire.capture(net):
        net(torch.randn(5, 8)).sum().backward()
    assert {name: p.requires_grad for name, p in net.named_parameters()} == before
    assert net.fc1.weight.grad is None


def test_an_exception_leaves_no_hook_and_is_not_covered_up(net, n_hooks):
    with pytest.raises(ZeroDivisionError), cofire.capture(net):
        raise ZeroDivisionError
    assert n_hooks(net) == 0
    assert torch._C._len_torch_function_stack() == 0


def test_a_forward_pass_that_fails_does_not_count(net):
    net.eval()
    x = torch.randn(5, 8)
    handle = net.fc3.register_forward_hook(lambda *_: 1 / 0)
    with cofire.capture(net) as acts:
        with pytest.raises(ZeroDivisionError):
            net(x)
        handle.remove()
        try:
            raise ValueError("a retry runs while another error is handled")
        except ValueError:
            net(x)
    assert len(acts["fc1"]) == 5


def test_users_hooks_are_kept_in_order(net, n_hooks):
    seen: list[str] = []
    net.fc1.register_forward_pre_hook(lambda *_: seen.append("pre"))
    net.fc1.register_forward_hook(lambda m, a, k, o: seen.append("kwargs"), with_kwargs=True)
    net.fc1.register_forward_hook(lambda *_: seen.append("always"), always_call=True)
    everywhere = nn.modules.module.register_module_forward_hook(
        lambda m, *_: seen.append("global") if m is net.fc1 else None
    )
    before = n_hooks(net)
    with cofire.capture(net):
        net(torch.randn(5, 8))
    everywhere.remove()
    assert seen == ["pre", "global", "kwargs", "always"]
    assert n_hooks(net) == before


def test_an_output_that_a_users_hook_replaced_is_what_is_seen(net):
    net.fc3.register_forward_hook(lambda m, a, output: output + 100)
    with cofire.capture(net, "fc3") as acts:
        y = net(torch.randn(5, 8))
    assert torch.equal(acts["fc3"], y.detach())


def test_backward_hooks_do_not_hide_the_activation(net):
    net.eval()
    calls: list[int] = []
    net.fc1.register_full_backward_hook(lambda *_: calls.append(1))
    net.fc2.register_full_backward_hook(lambda *_: calls.append(2))
    x = torch.randn(5, 8, requires_grad=True)
    with cofire.capture(net) as acts:
        net.act.inplace = False  # PyTorch forbids in-place behind a backward hook
        net(x).sum().backward()
    assert sorted(calls) == [1, 2]
    assert torch.equal(acts["fc1"], torch.tanh(net.bn(net.fc1(x))).detach())
    assert acts["fc2"].min() >= 0


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_activation_checkpointing_counts_once(use_reentrant):
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.block, x, use_reentrant=use_reentrant)

    model, x = Checkpointed(), torch.randn(5, 4, requires_grad=True)
    with cofire.capture(model) as acts:
        model(x).sum().backward()
    assert list(acts) == ["block.0"]
    assert torch.equal(acts["block.0"], model.block(x).detach())
    with cofire.capture(model.block) as acts:
        checkpoint(model.block, x, use_reentrant=use_reentrant).sum().backward()
    assert len(acts["0"]) == 5


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_contexts(net, context):
    net.eval()
    x = torch.randn(5, 8)
    with context(), cofire.capture(net) as acts:
        net(x)
        expected = net.fc1(x)
    with cofire.capture(net, "fc1", stage="pre") as pre, context():
        net(x)
    assert torch.equal(pre["fc1"], expected.detach())
    assert not acts["fc1"].is_inference()
    acts["fc1"].add_(1).requires_grad_().sum().backward()


def test_copies_and_pickles_take_no_capture_along(net):
    x = torch.randn(5, 8)
    with cofire.capture(net) as acts:
        twin = copy.deepcopy(net)
        torch.save(net, io.BytesIO())
        twin(x)
        assert not list(acts)
        net(x)
    assert len(acts["fc1"]) == 5


def test_other_threads_are_not_seen(net):
    x = torch.randn(5, 8)
    with cofire.capture(net) as acts:
        other = threading.Thread(target=net, args=(torch.randn(7, 8),))
        other.start()
        other.join()
        net(x)
    assert len(acts["fc1"]) == 5


def test_recursion_is_one_pass():
    class Tree(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor, depth: int = 2) -> Tensor:
            return self.fc(x) if depth == 0 else self(self.fc(x), depth - 1)

    with cofire.capture(model := Tree(), per_call=True) as acts:
        model(torch.randn(5, 4))
    assert list(acts) == ["fc#0", "fc#1", "fc#2"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_is_left_out_or_refused():
    scripted = torch.jit.script(nn.Linear(4, 3))
    model = nn.Sequential(nn.Linear(4, 4), scripted)
    assert "TorchScript" in cofire.nets.sites(model, example=torch.ones(2, 4)).left_out["1"]
    with pytest.raises(ValueError, match="TorchScript"):
        Capture(model, "1")


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_are_seen_whoever_comes_first(net, backend):
    net.eval()
    x = torch.randn(5, 8)
    expected = torch.tanh(net.bn(net.fc1(x))).detach()
    with cofire.capture(net) as before:
        compiled = torch.compile(net, backend=backend)
        compiled(x)
    compiled(x)
    for root, call in ((compiled, compiled), (net, compiled), (compiled, net)):
        with cofire.capture(root) as acts:
            call(x)
        assert torch.equal(acts["fc1"], expected)
    net.compile(backend=backend)
    net(x)
    with cofire.capture(net) as in_place:
        net(x)
    for acts in (before, in_place):
        assert torch.equal(acts["fc1"], expected)
    torch._dynamo.reset()


def test_compilation_goes_on_when_the_last_of_several_captures_is_off():
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(1)
        return graph.forward

    model = nn.Linear(4, 3)
    compiled, x = torch.compile(model, backend=backend), torch.randn(2, 4)
    captures = [Capture(model) for _ in range(3)]
    for one in captures:
        one.attach()
    for one in captures:
        compiled(x)
        assert not graphs
        one.detach()
    compiled(x)
    assert graphs
    torch._dynamo.reset()


def test_compilation_goes_on_when_a_penalty_was_dropped_with_its_model():
    gc.collect()
    before = eager._n_on
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    penalty = CorrelationPenalty(model)
    model(torch.randn(5, 4))
    assert eager._n_on == before + 1
    del model, penalty
    gc.collect()
    assert eager._n_on == before


def test_wrappers_prefixes_are_taken_off():
    averaged = torch.optim.swa_utils.AveragedModel(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    with cofire.capture(averaged, "module.0") as acts:
        averaged(torch.randn(2, 4))
    assert list(acts) == ["0"]


def test_hooks_come_and_go_with_the_number_of_steps(net, n_hooks):
    counts = []
    for _ in range(3):
        with cofire.capture(net):
            net(torch.randn(5, 8))
            counts.append(n_hooks(net))
    assert all(a == b > 0 for a, b in pairwise(counts))
    assert n_hooks(net) == 0


def test_after_a_pass_nothing_runs_through_the_follower(net):
    before = list(_get_current_function_mode_stack())
    with cofire.capture(net, "fc*"):
        net(torch.randn(5, 8))
        assert _get_current_function_mode_stack() == before


def test_contexts_that_are_open_end_as_they_began():
    class Watching(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    with torch.device("cpu"), cofire.capture(model, "0") as acts:
        model(torch.randn(5, 4))
        with Watching() as watching:
            y = model[1](model[0](torch.randn(2, 4)))  # outside of a call of the model
            assert _get_current_function_mode_stack()[-1] is watching
        assert watching not in _get_current_function_mode_stack()
    assert torch.equal(acts["0"][5:], y)
    assert not _get_current_function_mode_stack()
