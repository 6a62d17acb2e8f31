"""Patterns: which layers are meant."""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from torch import nn

from .layer_names import clean, near

Pattern = str | type[nn.Module] | Callable[[str, nn.Module], bool]
"""A glob over names, ``re:`` and a regular expression, a module type, or (name, module) -> bool."""


def matching(pattern: Pattern, layers: Mapping[str, nn.Module]) -> list[str]:
    """Names of the layers that one pattern matches, in the model's order.

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
        expression = _compiled(pattern.removeprefix("re:"))
        return lambda name, _: expression.fullmatch(name) is not None
    if isinstance(pattern, str):
        glob = clean(pattern)
        return lambda name, _: name == glob or fnmatchcase(name, glob) or f"module.{name}" == glob
    if isinstance(pattern, type) and issubclass(pattern, nn.Module):
        return lambda _, module: isinstance(module, pattern)
    if callable(pattern) and not isinstance(pattern, nn.Module):
        return lambda name, module: bool(pattern(name, module))
    raise ValueError(
        "a pattern is a glob, 're:...', a module type, a callable (name, module) -> bool, or a list; "
        f"got {type(pattern).__name__}"
    )


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(f"'re:{expression}' is no regular expression: {error}") from error


def as_list(patterns: object) -> list[object]:
    """A single pattern or site as a list of one."""
    if isinstance(patterns, str | type) or callable(patterns) or not isinstance(patterns, Iterable):
        return [patterns]
    return list(patterns)


def default_less(patterns: object, default: Pattern) -> list[object]:
    """The patterns; if they only take away (``!name``), or there are none, the default less what they take.

    Example:
        >>> default_less("!head", nn.Linear), default_less(["encoder.*", "!encoder.0"], nn.Linear)
        ([<class 'torch.nn.modules.linear.Linear'>, '!head'], ['encoder.*', '!encoder.0'])
    """
    asked = as_list(patterns)
    return asked if any(not _takes_away(one) for one in asked) else [default, *asked]


def split(patterns: list[object]) -> tuple[list[object], list[str]]:
    """What is asked for, and what is taken away again (``!name``): from all layers, where nothing else is asked for.

    Example:
        >>> split(["encoder.*", "!encoder.0"]), split(["!head"])
        ((['encoder.*'], ['encoder.0']), (['*'], ['head']))
    """
    unwanted = [one[1:] for one in patterns if isinstance(one, str) and _takes_away(one)]
    wanted = [one for one in patterns if not _takes_away(one)]
    return (["*"] if unwanted and not wanted else wanted), unwanted


def _takes_away(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern.startswith("!")
