"""All private names of torch that cofire.nets uses, each with the reason why a public one does not do.

``tests/nets/test_torch_private.py`` lists these names and says which of them a new release of torch lacks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, _decomp, nn
from torch._functorch import pyfunctorch
from torch._subclasses import fake_tensor
from torch.nn.modules import batchnorm, conv, dropout, loss
from torch.nn.utils import parametrize
from torch.utils import _device, _python_dispatch, _pytree

# Base classes have no public name, and users subclass them: a list of the public classes would miss those.
BatchNorm = batchnorm._BatchNorm
Convolution = conv._ConvNd
Dropout = dropout._DropoutNd
Loss = loss._Loss

# The public TorchFunctionMode enters and leaves the stack of modes at its top only. A capture begins and ends at any
# time, also while other modes are open, so it must take its mode out of the middle of the stack.
function_modes = torch.overrides._get_current_function_mode_stack
push_function_mode = torch.overrides._push_mode
pop_function_mode = torch.overrides._pop_mode

# The mode behind torch.set_default_device, which insists on the lowest place of the stack.
DeviceContext = _device.DeviceContext

# Models return all kinds of containers, also some that transformers registers with torch as trees.
tree_leaves = _pytree.tree_leaves

without_torch_functions = torch._C.DisableTorchFunction
"""Context in which no function mode is called.

The public ``DisableTorchFunctionSubclass`` switches off subclasses only. What hooks do themselves must not pass through
the modes: they would see operations that are not the model's.
"""

FORWARD_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def forward_hooks(module: nn.Module) -> list[Any]:
    """Return the forward hooks on a module, those that run before it included.

    torch offers no way to list them.
    """
    return [hook for kind in FORWARD_HOOKS for hook in getattr(module, kind).values()]


def forward_pre_hooks(module: nn.Module) -> list[Any]:
    """Return the hooks that run before a module's forward."""
    return list(module._forward_pre_hooks.values())


@contextmanager
def without_forward_hooks(*modules: nn.Module) -> Iterator[None]:
    """Take the forward hooks off modules for the length of a block.

    A hook that calls its own module again would call itself. Removing and registering the hooks anew would change
    their order and invalidate the handles that users hold.
    """
    saved = [(module, kind, getattr(module, kind)) for module in modules for kind in FORWARD_HOOKS]
    try:
        for module, kind, hooks in saved:
            setattr(module, kind, type(hooks)())
        yield
    finally:
        for module, kind, hooks in saved:
            setattr(module, kind, hooks)


def in_backward() -> bool:
    """Return whether autograd is running a backward pass in this thread.

    Checkpointed layers run their forward again there; nothing public tells that from the first time.
    """
    return torch._C._current_graph_task_id() != -1


def in_vmap(tensor: Tensor) -> bool:
    """Return whether a tensor stands for many, because ``torch.func.vmap`` is running.

    Its shape hides the axis of samples (or models). The wrappers of ``torch.func.grad`` may lie around it.
    """
    transforms: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue] - it has no stub
    while transforms.is_gradtrackingtensor(tensor):
        tensor = transforms.get_unwrapped(tensor)
    return transforms.is_batchedtensor(tensor)


def without_transforms(tensor: Tensor) -> Tensor:
    """Return the tensor inside the wrappers of ``torch.func``, which are dead once the transform is over."""
    transforms: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue] - it has no stub
    while not torch.compiler.is_compiling() and transforms.is_functorch_wrapped_tensor(tensor):
        tensor = transforms.get_unwrapped(tensor)
    return tensor


def view_base(tensor: Tensor) -> Tensor:
    """Return the tensor that this one is a view of, or itself.

    Storages could be compared in public, but not kept as keys of a weak dictionary.
    """
    return tensor if tensor._base is None else tensor._base


def version(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place; 0 for tensors of inference mode, which do not count.

    Autograd keeps this number to find changes in place; there is no other way to notice them without comparing values.
    """
    return 0 if tensor.is_inference() else tensor._version


# Operations as they reach the kernels, those inside nn.LSTM or a fused layer included: the public modes see
# the calls of torch's Python functions only.
DispatchMode = _python_dispatch.TorchDispatchMode

push_dispatch_mode = _python_dispatch._push_mode
"""Begin to see operations. As with function modes above, a pass begins and ends at any time."""


def push_dispatch_mode_below(mode: Any) -> None:
    """Begin to see operations below all other modes, so that whichever a user's block ends is the user's own."""
    above = []
    while _python_dispatch._get_current_dispatch_mode_stack():
        above.append(_python_dispatch._pop_mode())
    for one in (mode, *reversed(above)):
        _python_dispatch._push_mode(one)


def remove_dispatch_mode(mode: Any) -> None:
    """Take a mode out of the stack, wherever in it; do nothing if it is not there."""
    stack = _python_dispatch._get_current_dispatch_mode_stack()
    if not any(one is mode for one in stack):
        return
    above = []
    while (top := _python_dispatch._pop_mode()) is not mode:
        above.append(top)
    for one in reversed(above):
        _python_dispatch._push_mode(one)


# Tensors without memory that know how every operation changes shapes; torch.export uses them.
FakeTensor = fake_tensor.FakeTensor
FakeTensorMode = fake_tensor.FakeTensorMode
FakeCopyMode = fake_tensor.FakeCopyMode
"""Makes deepcopy copy tensors as fake ones, wherever an object holds them."""

outside_transforms = pyfunctorch.temporarily_clear_interpreter_stack
"""Context in which ``torch.func`` transforms nothing. A pass of our own inside a user's must not be differentiated."""

is_functorch_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # pyright: ignore[reportAttributeAccessIssue]


without_dispatch_modes = _python_dispatch._disable_current_modes


@contextmanager
def hidden() -> Iterator[None]:
    """Hide what a hook does itself from all modes that are active: it is nothing that the model does."""
    with without_torch_functions():
        if not torch._C._len_torch_dispatch_stack():
            yield
            return
        with without_dispatch_modes():
            yield


@contextmanager
def without_modes() -> Iterator[None]:
    """Take all modes of the user out for a block, except the default device: they would see a pass of our own."""
    functions = [pop_function_mode() for _ in function_modes()]
    try:
        for mode in functions:
            if isinstance(mode, DeviceContext):
                push_function_mode(mode)
        with without_dispatch_modes():
            yield
    finally:
        while function_modes():
            pop_function_mode()
        for mode in reversed(functions):
            push_function_mode(mode)


# What torch.compile falls back on for operations that have no decomposition of their own.
decompositions = _decomp.core_aten_decompositions

tree_map = _pytree.tree_map

# The product of a mixture of experts, whose kernel for fake tensors takes bfloat16 only.
grouped_mm = torch.ops.aten._grouped_mm.default

ALL_HOOKS = (*FORWARD_HOOKS, "_backward_hooks", "_backward_pre_hooks")


def cached_parametrization(module: nn.Module, name: str) -> Tensor | None:
    """Return the value that ``parametrize.cached()`` keeps of a parameter; None if it keeps none.

    Reading the parameter would compute and store a value, which under ``no_grad`` has no gradient, and the model would
    train on that one.
    """
    return parametrize._cache.get((id(module), name))


@contextmanager
def recording_gradients() -> Iterator[None]:
    """Let autograd see what a dispatch mode computes itself, as at the place where the operation was called.

    torch calls such modes behind autograd, and offers no way back.
    """
    if torch.is_inference_mode_enabled():
        yield
        return
    nothing = torch._C.DispatchKeySet(torch._C.DispatchKey.Undefined)
    with torch._C._ForceDispatchKeyGuard(torch._C._dispatch_tls_local_include_set(), nothing):
        yield
