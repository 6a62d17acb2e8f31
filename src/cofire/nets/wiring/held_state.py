"""What a model holds beside its parameters and buffers: random generators, and whatever its code may change."""

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ..tensors_in import attributes_of, parts_of
from .closures import within

Restore = Callable[[], object]
LIBRARIES = frozenset({*sys.stdlib_module_names, "torch", "numpy", "scipy", "pandas", "transformers", "cofire"})
"""Packages whose functions and objects keep no generator of their own that a model would draw from."""

GENERATORS = (torch.Generator, random.Random, np.random.Generator, np.random.BitGenerator, np.random.RandomState)
MOST = 100_000  # parts that are looked at
_KNOWN: "WeakKeyDictionary[nn.Module, tuple[Any, list[Any]]]" = WeakKeyDictionary()


def generators(model: nn.Module) -> list[Any]:
    """Return the random generators that a model can draw from, torch's, numpy's and Python's.

    These are the ones in its attributes and those of its classes, in containers and objects there, in closures and
    defaults of its methods and of functions that these call, and those that stand under the global names in their code.
    They are looked for once, and again when modules of the model were exchanged: it takes as long as a small pass.
    """
    modules = [ref(one) for one in model.modules()]
    known = _KNOWN.get(model)
    if known is None or known[0] != modules:
        found = [one for one in _reachable(model, named_globals=True) if _state_of(one) is not None]
        known = _KNOWN[model] = (modules, found)
    own = [one for module in model.modules() for one in vars(module).values() if isinstance(one, GENERATORS)]
    return list({id(one): one for one in (*known[1], *own)}.values())  # one may have been made since


def generators_kept(found: Iterable[Any]) -> Restore:
    """Return what puts generators back to the states that they have now."""
    states = [(one, state) for one in found if (state := _state_of(one)) is not None]

    def restore() -> None:
        for one, (set_state, state) in states:
            set_state(one, state)

    return restore


def torch_generators(values: Any) -> list[torch.Generator]:
    """Return the generators of torch in some values, which ``copy.deepcopy`` can't copy."""
    return [one for one in _walk([values], held) if isinstance(one, torch.Generator)]


def copy_of(generator: torch.Generator) -> torch.Generator:
    """Return a generator of its own in the same state."""
    made = torch.Generator(generator.device)
    made.set_state(generator.get_state())
    return made


def attributes_kept(model: nn.Module) -> Restore:
    """Return what puts a model's plain attributes back to what they are now, and the contents of what they hold.

    Containers, objects, arrays and tensors keep their identity; parameters and buffers are left alone.
    """
    own = {id(one) for one in (*model.parameters(), *model.buffers())}
    modules = [(one, dict(vars(one))) for one in model.modules()]
    # The contents of hooks' dicts are put back into the same ones: handles refer to them.
    hooks = [_items_kept(value) for _, before in modules for name, value in before.items() if name.endswith("_hooks")]
    held_now = [one for one in _reachable(model, named_globals=False) if id(one) not in own]
    kept = [put_back for one in held_now if (put_back := _contents_kept(one)) is not None]

    def restore() -> None:
        for module, before in modules:
            vars(module).clear()
            vars(module).update(before)
        for put_back in [*hooks, *kept]:
            if put_back is not None:
                put_back()

    return restore


def closures_kept(model: nn.Module) -> Restore:
    """Return what puts back what functions among a model's attributes keep in their closures.

    ``copy.deepcopy`` takes functions over as they are, so that a copied model shares it. Tensors are left alone.
    """
    functions = [one for one in within(map(vars, model.modules())) if isinstance(one, FunctionType)]
    cells = [cell for one in functions for cell in one.__closure__ or ()]
    kept = [put_back for one in within(cells) if not isinstance(one, Tensor) and (put_back := _contents_kept(one))]

    def restore() -> None:
        for put_back in kept:
            put_back()

    return restore


def _contents_kept(value: Any) -> Restore | None:
    """Return what puts the contents of a value back; None if it has none that can change."""
    if isinstance(value, Tensor):
        return _entries_kept(value)
    if isinstance(value, CellType):
        inside = parts_of(value)
        return lambda: setattr(value, "cell_contents", inside[0]) if inside else None
    if isinstance(value, np.ndarray):
        array = value.copy()
        return lambda: np.copyto(value, array) if value.flags.writeable and value.shape == array.shape else None
    attributes = None if isinstance(value, FunctionType) else attributes_of(value)
    items = _items_kept(value)
    if attributes is None or isinstance(value, type | ModuleType | nn.Module):
        return items
    return lambda: (items and items(), _set_attributes(value, attributes))


def _items_kept(value: Any) -> Restore | None:
    if isinstance(value, dict):
        pairs = dict(value)
        return lambda: None if _same(value, pairs) else (value.clear(), value.update(pairs))
    if isinstance(value, set):
        members = set(value)
        return lambda: None if value == members else (value.clear(), value.update(members))
    if isinstance(value, list | deque | bytearray):
        entries = list(value)
        # Never emptied without need: another thread may be reading it.
        return lambda: (
            None if list(map(id, value)) == list(map(id, entries)) else (value.clear(), value.extend(entries))
        )
    return None


def _same(value: dict[Any, Any], pairs: dict[Any, Any]) -> bool:
    """Return whether two dicts hold the same objects in the same order."""
    return list(map(id, value.values())) == list(map(id, pairs.values())) and list(value) == list(pairs)


def _entries_kept(tensor: Tensor) -> Restore | None:
    if type(tensor) is not Tensor or tensor.is_meta or tensor.layout != torch.strided:
        return None
    before = tensor.detach().clone()

    def restore() -> None:
        with torch.no_grad():
            if tensor.shape == before.shape and not torch.equal(tensor, before):
                tensor.detach().copy_(before)

    return restore


def _set_attributes(value: Any, before: dict[str, Any]) -> None:
    now = attributes_of(value) or {}
    for name in now.keys() - before.keys():
        object.__delattr__(value, name)
    for name, one in before.items():
        if now.get(name, now) is not one:
            object.__setattr__(value, name, one)


def _state_of(value: Any) -> tuple[Callable[[Any, Any], object], Any] | None:
    """Return how to put a random generator back, and its state; None if it is no generator."""
    if isinstance(value, torch.Generator):
        return torch.Generator.set_state, value.get_state()
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return random.Random.setstate, value.getstate()
    if isinstance(value, np.random.Generator):
        return _set_bits, value.bit_generator.state
    if isinstance(value, np.random.BitGenerator):
        return lambda one, state: setattr(one, "state", state), value.state
    return (np.random.RandomState.set_state, value.get_state()) if isinstance(value, np.random.RandomState) else None


def _set_bits(generator: np.random.Generator, state: Any) -> None:
    generator.bit_generator.state = state


def _reachable(model: nn.Module, *, named_globals: bool) -> Iterator[Any]:
    """Yield what a model's attributes hold; with ``named_globals``, also what its code reaches."""
    modules = list(model.modules())
    # Hooks are left out: they may be those of an instrument that is measuring the model.
    values = [value for module in modules for name, value in vars(module).items() if not name.endswith("_hooks")]
    if not named_globals:
        return _walk(values, held)
    classes = {kind for module in modules for kind in type(module).__mro__ if not _in_library(kind)}
    of_classes = [value for kind in classes for value in list(vars(kind).values())]
    return _walk([*values, *of_classes], lambda one: [*held(one), *_code_reaches(one)])


def _walk(values: Iterable[Any], parts: Callable[[Any], list[Any]]) -> Iterator[Any]:
    waiting, seen = list(values), dict[int, Any]()
    while waiting and len(seen) < MOST:
        one = waiting.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            yield one
            waiting += parts(one)


def held(value: Any) -> list[Any]:
    """Return what containers and objects hold; not what modules do, or what can't be looked into."""
    if isinstance(value, Tensor | type | ModuleType | Optimizer | DataLoader):
        return []
    try:
        return parts_of(value) or []
    except Exception:  # the code of the object's class is not ours
        return []


def _code_reaches(value: Any) -> list[Any]:
    """Return what a function's code names: globals, and the attributes of modules and classes among these."""
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, staticmethod | classmethod | cached_property):
        return [getattr(value, "__func__", None) or getattr(value, "func", None)]
    function = getattr(value, "__wrapped__", value)
    if not isinstance(function, FunctionType) or _in_library(function):
        return [] if function is value else [function]
    names = set(_names(function.__code__))
    found = [function.__globals__[name] for name in names if name in function.__globals__]
    for one in list(found):
        if isinstance(one, type | ModuleType) and not _in_library(one):
            found += [vars(one)[name] for name in names if name in vars(one)]
    return [one for one in found if not _in_library(one) or _state_of(one) is not None]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _names(one)


def _in_library(value: Any) -> bool:
    """Return whether something, or its class, comes from a package in which nothing is to be found."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    if isinstance(value, dict | list | tuple | set | frozenset | deque):
        return False
    return str(name or type(value).__module__).partition(".")[0] in LIBRARIES
