"""The private names of torch that cofire.nets uses: which a new torch lacks, and that each does what it is used for."""

import ast
import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

import cofire.nets
from cofire.nets import torch_private

NAMES = {
    "torch.nn.modules.batchnorm._BatchNorm": "layers.kinds: all batch normalizations, also users' subclasses",
    "torch.nn.modules.conv._ConvNd": "layers.layer_weights, surgery: the groups of a convolution",
    "torch.nn.modules.dropout._DropoutNd": "layers.kinds: dropout has no units",
    "torch.nn.modules.loss._Loss": "layers.kinds: losses have no units",
    "torch.overrides._get_current_function_mode_stack": "capturing: where the capture's mode is on the stack",
    "torch.overrides._push_mode": "capturing: put the mode into the middle of the stack",
    "torch.overrides._pop_mode": "capturing: take the mode out of the middle of the stack",
    "torch.utils._device.DeviceContext": "capturing: the mode of torch.set_default_device stays lowest",
    "torch.utils._pytree.tree_leaves": "surgery.output_change: the tensors in whatever a model returns",
    "torch.utils._pytree.tree_map": "wiring: fake tensors in place of real ones, in whatever a model takes",
    "torch.utils._python_dispatch.TorchDispatchMode": "wiring, surgery: operations as they reach the kernels",
    "torch._subclasses.fake_tensor.FakeTensor": "wiring: tensors without memory",
    "torch._subclasses.fake_tensor.FakeTensorMode": "wiring: tensors without memory",
    "torch._decomp.core_aten_decompositions": "wiring: operations without a rule, in terms of others",
    "torch.ops.aten._grouped_mm": "wiring: the product of a mixture of experts",
    "torch._C.DisableTorchFunction": "capturing: hooks run unseen by function modes",
    "torch._C._ForceDispatchKeyGuard": "capturing: copy, with its gradient, what an operation is about to change",
    "torch._C._dispatch_tls_local_include_set": "capturing: likewise",
    "torch._C._current_graph_task_id": "capturing: checkpointed layers that run again in backward",
    "torch._C._functorch.is_batchedtensor": "layers.sample_rows: leave out layers inside vmap",
    "torch._C._functorch.is_gradtrackingtensor": "layers.sample_rows: look inside torch.func.grad",
    "torch._C._functorch.is_functorch_wrapped_tensor": "penalties: keep values that outlive torch.func's transforms",
    "torch._C._functorch.get_unwrapped": "layers.sample_rows: look inside torch.func.grad",
    "torch.nn.Linear(1, 1)._forward_hooks": "capturing: list hooks and switch them off",
    "torch.nn.Linear(1, 1)._forward_pre_hooks": "capturing: list hooks and switch them off",
    "torch.nn.utils.parametrize._cache": "layers.effective_weight: what parametrize.cached() keeps",
    "torch.ones(1)._base": "capturing: know a view by the tensor that owns the memory",
    "torch.ones(1)._version": "penalties: notice changes in place",
}
PRIVATE_ATTRIBUTES = {name.rpartition(".")[2] for name in NAMES if "(" in name}


@pytest.mark.parametrize("name", NAMES)
def test_torch_has_the_private_name(name):
    owner, _, last = name.rpartition(".")
    found = hasattr(eval(owner) if "(" in owner else _module_or_attribute(owner), last)
    assert found, f"torch {torch.__version__} lacks {name} ({NAMES[name]}); mend cofire/nets/torch_private.py"


def _module_or_attribute(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        owner, _, last = name.rpartition(".")
        return getattr(_module_or_attribute(owner), last, None)


def private_uses(path):
    """Names with a leading underscore that a file takes from torch: imported, or read from torch or a tensor."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch" and not node.level:
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if part.startswith("_"))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            root = ast.unparse(node).split(".")[0]
            if root in ("torch", "nn") or (root != "self" and node.attr in PRIVATE_ATTRIBUTES):
                yield node.attr


def test_no_other_file_of_this_floor_uses_private_names_of_torch():
    folder = Path(cofire.nets.__file__).parent
    found = {path: list(private_uses(path)) for path in folder.rglob("*.py") if path.name != "torch_private.py"}
    assert not {path.name: names for path, names in found.items() if names}
    assert set(private_uses(folder / "torch_private.py"))


def test_hooks_are_listed_and_switched_off_for_a_block():
    layer, calls = nn.Linear(2, 2), []
    handle = layer.register_forward_hook(lambda *_: calls.append("after"))
    layer.register_forward_pre_hook(lambda *_: calls.append("before"))
    assert len(torch_private.forward_hooks(layer)) == 2
    with torch_private.without_forward_hooks(layer):
        layer(torch.ones(1, 2))
    assert not calls
    layer(torch.ones(1, 2))
    handle.remove()
    layer(torch.ones(1, 2))
    assert calls == ["before", "after", "before"]


def test_hooks_come_back_after_an_error():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    with pytest.raises(KeyError), torch_private.without_forward_hooks(layer):
        raise KeyError
    assert len(torch_private.forward_hooks(layer)) == 1


def test_a_backward_pass_is_noticed():
    seen = []
    x = torch.ones(2, requires_grad=True)
    x.register_hook(lambda grad: seen.append(torch_private.in_backward()))
    x.sum().backward()
    assert seen == [True]
    assert not torch_private.in_backward()


def test_vmap_is_noticed_also_around_a_gradient():
    seen = []

    def note(x):
        seen.append(torch_private.in_vmap(x))
        return x.sum()

    torch.func.vmap(torch.func.grad(note))(torch.ones(3, 2))
    note(torch.ones(2))
    assert seen == [True, False]


def test_function_modes_do_not_see_what_runs_without_them():
    class Watching(torch.overrides.TorchFunctionMode):
        seen = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.seen += 1
            return func(*args, **(kwargs or {}))

    with Watching() as mode:
        assert torch_private.function_modes()[-1] is mode
        with torch_private.without_torch_functions():
            torch.ones(2).add(1)
    assert not mode.seen


def test_views_and_changes_in_place_are_known():
    x = torch.zeros(4)
    assert torch_private.view_base(x[:2]) is x
    assert torch_private.view_base(x) is x
    before = torch_private.version(x)
    x.add_(1)
    assert torch_private.version(x) == before + 1
    with torch.inference_mode():
        assert torch_private.version(torch.zeros(2)) == 0


class Copying(torch_private.DispatchMode):
    """Copies what ``neg_`` is about to change."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name == "aten::neg_":
            with torch_private.recording_gradients():
                self.copy = args[0].movedim(0, -1).clone()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_mode_can_copy_with_the_gradient(context):
    weight = torch.randn(3, requires_grad=True)
    with context(), Copying() as mode:
        y = weight.sin()
        y.neg_()
    assert torch.equal(mode.copy, weight.detach().sin())
    assert (mode.copy.requires_grad, mode.copy.is_inference()) == (y.requires_grad, y.is_inference())
    if y.requires_grad:
        assert torch.equal(torch.autograd.grad(mode.copy.sum(), weight)[0], weight.cos())


def test_a_mode_that_is_put_below_others_leaves_them_to_their_blocks():
    class Other(torch_private.DispatchMode):
        pass

    mode, stack = Other(), torch.utils._python_dispatch._get_current_dispatch_mode_stack
    with Other() as outer:
        with Other() as inner:
            torch_private.push_dispatch_mode_below(mode)
            assert stack() == [mode, outer, inner]
        assert stack() == [mode, outer]
    assert stack() == [mode]
    torch_private.remove_dispatch_mode(mode)
    assert not stack()
