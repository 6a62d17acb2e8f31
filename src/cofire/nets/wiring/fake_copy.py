"""A copy of a model with fake parameters: it runs in no memory, and nothing of it touches the original."""

import copy
import gc
import logging
import random
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from ...stats._base.wording import with_article
from ..tensors_in import look_into
from ..torch_private import (
    ALL_HOOKS,
    FakeCopyMode,
    FakeTensor,
    FakeTensorMode,
    is_functorch_wrapped,
    outside_transforms,
    without_modes,
)
from .closures import copied_closures
from .held_state import closures_kept, copy_of, generators, generators_kept, torch_generators


class OutsideError(RuntimeError):
    """A pass of a copied model would have run a module of the original."""


class LeakedError(RuntimeError):
    """A fake tensor outlived the run, held by something of the user's that could not be cleared."""


def fake_copy(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """Return a copy of a model whose tensors are fake; users' hooks are left off.

    Hooks that belong to the model stay: old weight norm computes the weight in one, and transformers collects its
    hidden states in others.
    """
    # Tensors computed from parameters, as old weight norm leaves them, and those that torch.func has put in the place
    # of parameters cannot be copied; all others are, wherever they lie.
    held = look_into([list(vars(module).values()) for module in model.modules()]).tensors
    unlike = [one for one in held if not _can_be_copied(one)]
    memo, cells = copied_closures(model)
    memo |= {id(one): copy_of(one) for one in torch_generators([vars(module) for module in model.modules()])}
    made = _copied(model, unlike, mode, memo)
    with FakeCopyMode(mode):
        for cell, contents in cells:
            cell.cell_contents = copy.deepcopy(contents, memo)
    for hooks, key in list(_users_hooks(made)):
        del hooks[key]
    return made


def has_users_hooks(model: nn.Module) -> bool:
    """Return whether a model carries hooks that its fake copy is without."""
    return next(_users_hooks(model), None) is not None


def _users_hooks(model: nn.Module) -> Iterator[tuple[dict[int, Any], int]]:
    """Yield each hook of the user's, as the dict that holds it and its key there."""
    libraries = {type(module).__module__.partition(".")[0] for module in model.modules()} - {"torch"}
    for module in model.modules():
        for kind in ALL_HOOKS:
            hooks = getattr(module, kind)
            yield from ((hooks, key) for key, hook in hooks.items() if not _belongs(hook, libraries))


def _belongs(hook: Any, libraries: set[str]) -> bool:
    """Return whether a hook is from ``torch.nn.utils`` or from an installed library that the model comes from.

    A project's own hooks can't be told from its measurements; they are taken for those.
    """
    source = getattr(getattr(hook, "func", hook), "__module__", None) or ""  # inside a functools.partial
    if source.startswith("torch.nn.utils"):
        return True
    file = getattr(sys.modules.get(source), "__file__", None) or ""
    return source.partition(".")[0] in libraries and file.startswith(sysconfig.get_path("purelib"))


@contextmanager
def never_run(model: nn.Module) -> Iterator[None]:
    """Raise where, in a block, this thread would run a module of the model, or any with real parameters.

    Code of a copied model can reach the original, or a model beside it, through a global name, say. The hooks there,
    the user's and those that measure, would take fake tensors for real ones.

    Raises:
        OutsideError: before such a module runs.
    """
    here, own = threading.get_ident(), {id(module) for module in model.modules()}

    def refuse(module: nn.Module, _args: Any) -> None:
        if threading.get_ident() == here and (
            id(module) in own or any(map(_is_real, module.parameters(recurse=False)))
        ):
            raise OutsideError(f"its code runs {with_article(type(module).__name__)} that is not registered in it")

    handle = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        handle.remove()


class SafeCopies(TorchFunctionMode):
    """Lets the code of a model copy fake tensors deeply.

    torch would copy their memory, of which they have none, and so destroy other memory (2.13). torchmetrics, for one,
    copies tensors in a forward pass.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function; make the deep copy of a fake tensor."""
        if func is not Tensor.__deepcopy__ or not isinstance(args[0], FakeTensor):
            return func(*args, **(kwargs or {}))
        tensor, memo = args
        if id(tensor) not in memo:
            memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
        return memo[id(tensor)]


def _is_real(tensor: Tensor) -> bool:
    return not isinstance(tensor, FakeTensor) and not is_lazy(tensor)


def fake_arguments(arguments: Any, mode: FakeTensorMode) -> Any:
    """Return a copy of the arguments of a model with fake tensors in place of real ones, whatever holds them."""
    memo: dict[int, Any] = {id(one): copy_of(one) for one in torch_generators(arguments)}
    return _copied(arguments, [one for one in look_into(arguments).tensors if not _can_be_copied(one)], mode, memo)


def own_arguments(arguments: Any) -> Any:
    """Return a copy of the arguments of a model that it may change, whatever holds their tensors."""
    given = [one for one in look_into(arguments).tensors if not one.is_leaf]
    memo: dict[int, Any] = {id(one): copy_of(one) for one in torch_generators(arguments)}
    return copy.deepcopy(arguments, memo | {id(one): one.detach().clone() for one in given})


def _can_be_copied(tensor: Tensor) -> bool:
    return tensor.is_leaf and not is_functorch_wrapped(tensor)


def _copied(source: Any, unlike: list[Tensor], mode: FakeTensorMode, memo: dict[int, Any] | None = None) -> Any:
    """Copy deeply; ``unlike`` are tensors that deepcopy refuses, ``memo`` has copies that are made already."""
    memo = {} if memo is None else memo
    for tensor in unlike:
        if is_functorch_wrapped(tensor):
            with mode:
                memo[id(tensor)] = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        else:
            memo[id(tensor)] = mode.from_tensor(tensor.detach(), static_shapes=True)
    with FakeCopyMode(mode):
        return copy.deepcopy(source, memo)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back, after a block, random states, torch's switches, closures and small buffers that were counted up.

    Inside the block no mode of the user is active, nor a transform of ``torch.func``, nor autograd. Fused kernels hide
    what they are made of, so they are switched off.
    """
    # A copied model can reach its original through a closure. Fake mode computes on fakes then, but counters such as
    # ``num_batches_tracked`` are changed in place.
    counters = [(one, one.detach().clone()) for one in model.buffers() if one.numel() == 1 and not one.is_meta]
    restore = closures_kept(model)
    with ExitStack() as stack:
        stack.enter_context(random_states_kept(model))
        stack.enter_context(no_fused_kernels())
        stack.enter_context(warnings.catch_warnings(action="ignore"))  # the real pass gives the model's own
        stack.enter_context(_unlogged("torch._subclasses.fake_tensor"))  # what fails on fakes is done in another way
        for context in (outside_transforms(), without_modes(), torch.inference_mode(False), torch.no_grad()):
            stack.enter_context(context)
        try:
            yield
        finally:
            restore()
            for one, before in counters:
                if not torch.equal(one, before):
                    one.copy_(before)


@contextmanager
def _unlogged(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def random_states_kept(model: nn.Module) -> Iterator[None]:
    """Put back the states of all random generators that a forward pass may use.

    These are the global ones of torch, numpy and Python, and those that the model or its code holds.
    """
    restore = generators_kept(generators(model))
    # fork_rng would initialize CUDA, which takes seconds and memory, also if the model runs on the CPU.
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - models use the global one
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        restore()
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


@contextmanager
def no_fused_kernels() -> Iterator[None]:
    """Switch off kernels that compute several operations at once."""
    fast, mkldnn = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        torch.backends.mkldnn.enabled = False
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.mkldnn.enabled = mkldnn


def clear_leaks(made: list[ReferenceType[Tensor]]) -> None:
    """Clear the caches of the user's code that hold fake tensors, so that no later pass gets one.

    ``functools`` caches are emptied; keys of dicts and items of lists that hold one are taken away.

    Raises:
        LeakedError: if one is held in another way.
    """
    for attempt in (lambda _made: None, _release):
        if not any(isinstance(reference(), FakeTensor) for reference in made):
            return  # a collection takes far longer than the rest of the wiring of a small model
        attempt(made)
        gc.collect()
    if left := sum(isinstance(reference(), FakeTensor) for reference in made):
        raise LeakedError(f"{left} fake tensors are still held by the model's code")


def _release(made: list[ReferenceType[Tensor]]) -> None:
    frozen = gc.get_freeze_count()
    gc.unfreeze()  # what is frozen is not looked at for what it refers to
    alive = [one for one in (reference() for reference in made) if isinstance(one, FakeTensor)]
    fakes = {id(one) for one in alive}
    for holder in gc.get_referrers(*alive):
        if hasattr(holder, "cache_clear"):
            holder.cache_clear()
        elif isinstance(holder, dict):
            for key in [key for key, value in holder.items() if id(value) in fakes]:
                del holder[key]
        elif isinstance(holder, list) and holder is not alive:
            holder[:] = [one for one in holder if id(one) not in fakes]
    if frozen:
        gc.freeze()
