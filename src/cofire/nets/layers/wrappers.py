"""Remove the parts that wrappers add to the names in a state dict."""

from collections.abc import Mapping
from typing import TypeVar

from ..layer_names import clean

T = TypeVar("T")
DATA_PARALLEL = "module"
AVERAGED = "n_averaged"
"""The counter that ``AveragedModel`` keeps beside the model it wraps; it is no weight of the model."""


def without_wrappers(state: Mapping[str, T]) -> tuple[dict[str, T], tuple[str, ...]]:
    """Return a state dict under the names of the bare model, and the wrappers' parts that were removed.

    The parts of compile, FSDP and checkpoint wrappers are removed wherever they are. ``module``, which DataParallel and
    DDP add and a model may use itself, is removed only where it has no sibling.

    Raises:
        ValueError: if two names are the same without the wrappers.

    Example:
        >>> without_wrappers({"module._orig_mod.fc.weight": 1, "module._orig_mod.fc.bias": 2})
        ({'fc.weight': 1, 'fc.bias': 2}, ('_orig_mod', 'module'))
        >>> without_wrappers({"fc.weight": 1, "module.weight": 2})
        ({'fc.weight': 1, 'module.weight': 2}, ())
    """
    names = {name: clean(name).split(".") for name in state if name != AVERAGED}
    children: dict[tuple[str, ...], set[str]] = {}
    for parts in names.values():
        for depth, part in enumerate(parts):
            children.setdefault(tuple(parts[:depth]), set()).add(part)
    bare: dict[str, str] = {}
    for name, (*containers, last) in names.items():
        siblings = [len(children[tuple(containers[:depth])]) - 1 for depth in range(len(containers))]
        kept = [part for part, others in zip(containers, siblings, strict=True) if part != DATA_PARALLEL or others]
        bare[name] = ".".join([*kept, last])
    if len(set(bare.values())) < len(bare):
        twice = next(one for one in bare.values() if list(bare.values()).count(one) > 1)
        raise ValueError(f"two weights are both named {twice!r} without the prefixes of wrappers")
    taken = {part for name in bare for part in set(name.split(".")) - set(bare[name].split("."))}
    return {short: state[name] for name, short in bare.items()}, tuple(sorted(taken))
