"""What wrappers add to the names in a state dict, and the names without it."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from .layer_names import clean

T = TypeVar("T")
DATA_PARALLEL = "module"
AVERAGED = "n_averaged"
"""What ``AveragedModel`` counts beside the model it wraps; no weight of the model."""


def without_wrappers(state: Mapping[str, T]) -> tuple[dict[str, T], tuple[str, ...]]:
    """A state dict under the names of the bare model, and which wrappers' parts were taken off.

    The parts of compile, FSDP and checkpoint wrappers go wherever they are. ``module``, which DataParallel and DDP add
    and a model may use itself, goes where nothing lies beside it.

    Raises:
        ValueError: if two names are the same without the wrappers.

    Example:
        >>> without_wrappers({"module._orig_mod.fc.weight": 1, "module._orig_mod.fc.bias": 2})
        ({'fc.weight': 1, 'fc.bias': 2}, ('_orig_mod', 'module'))
        >>> without_wrappers({"fc.weight": 1, "module.weight": 2})
        ({'fc.weight': 1, 'module.weight': 2}, ())
    """
    names = {name: clean(name).split(".") for name in state if name != AVERAGED}
    children = _children(names.values())
    bare = {name: ".".join(_without_module(parts, children)) for name, parts in names.items()}
    if len(set(bare.values())) < len(bare):
        twice = next(one for one in bare.values() if list(bare.values()).count(one) > 1)
        raise ValueError(f"two weights are both named {twice!r} once the prefixes of wrappers are taken off")
    taken = {part for name in bare for part in set(name.split(".")) - set(bare[name].split("."))}
    return {short: state[name] for name, short in bare.items()}, tuple(sorted(taken))


def _children(names: Iterable[list[str]]) -> dict[tuple[str, ...], set[str]]:
    """What lies directly under each prefix."""
    children: dict[tuple[str, ...], set[str]] = {}
    for parts in names:
        for depth, part in enumerate(parts):
            children.setdefault(tuple(parts[:depth]), set()).add(part)
    return children


def _without_module(parts: list[str], children: Mapping[tuple[str, ...], set[str]]) -> list[str]:
    *containers, last = parts
    wraps = [
        part == DATA_PARALLEL and len(children[tuple(parts[:depth])]) == 1 for depth, part in enumerate(containers)
    ]
    return [*(part for part, wrapper in zip(containers, wraps, strict=True) if not wrapper), last]
