"""Patterns that select layers."""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from torch import nn

from ..layer_names import clean, near

Pattern = str | type[nn.Module] | Callable[[str, nn.Module], bool]
"""A glob over names, ``re:`` and a regular expression, a module type, or (name, module) -> bool."""


def matching(pattern: Pattern, layers: Mapping[str, nn.Module]) -> list[str]:
    """Return the names of the layers that a pattern matches, in the model's order.

    Raises:
        ValueError: if there are none, or the pattern is of no known kind.

    Example:
        >>> matching("*.0", {"encoder.0": nn.Linear(2, 2), "encoder.1": nn.ReLU()})
        ['encoder.0']
    """
    test = _test(pattern)
    names = [name for name, module in layers.items() if test(name, module)]
    if not names:
        hint = near(pattern if isinstance(pattern, str) else "", [name for name in layers if name])
        raise ValueError(f"no layer of the model matches {getattr(pattern, '__name__', repr(pattern))}; {hint}")
    return names


def _test(pattern: Pattern) -> Callable[[str, nn.Module], bool]:
    if isinstance(pattern, str) and pattern.startswith("re:"):
        try:
            expression = re.compile(pattern.removeprefix("re:"))
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from error
        return lambda name, _: expression.fullmatch(name) is not None
    if isinstance(pattern, str):
        glob = clean(pattern)
        # Names copied from a DataParallel model begin with "module.".
        return lambda name, _: name == glob or fnmatchcase(name, glob) or f"module.{name}" == glob
    if isinstance(pattern, type) and issubclass(pattern, nn.Module):
        return lambda _, module: isinstance(module, pattern)
    if callable(pattern) and not isinstance(pattern, nn.Module):
        return lambda name, module: bool(pattern(name, module))
    raise ValueError(
        "a pattern must be a glob, 're:...', a module type, a callable (name, module) -> bool, or a list of these; "
        f"got {type(pattern).__name__}"
    )


def as_list(patterns: object) -> list[object]:
    """Return a single pattern or site as a list of one, and several as a list."""
    if isinstance(patterns, str | type) or callable(patterns) or not isinstance(patterns, Iterable):
        return [patterns]
    return list(patterns)


def default_less(patterns: object, default: Pattern) -> list[object]:
    """Return the patterns; or, if all of them only exclude (``!name``), the default without what they exclude.

    Example:
        >>> default_less("!head", nn.Linear), default_less(["encoder.*", "!encoder.0"], nn.Linear)
        ([<class 'torch.nn.modules.linear.Linear'>, '!head'], ['encoder.*', '!encoder.0'])
    """
    asked = as_list(patterns)
    return [default, *asked] if all(map(_excludes, asked)) else asked


def split(patterns: list[object]) -> tuple[list[object], list[str]]:
    """Return the patterns that select, all layers if there are none, and those that exclude (``!name``).

    Example:
        >>> split(["encoder.*", "!encoder.0"]), split(["!head"])
        ((['encoder.*'], ['encoder.0']), (['*'], ['head']))
    """
    unwanted = [str(one)[1:] for one in patterns if _excludes(one)]
    wanted = [one for one in patterns if not _excludes(one)]
    return (["*"] if unwanted and not wanted else wanted), unwanted


def _excludes(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern.startswith("!")
