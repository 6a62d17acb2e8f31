"""Build a model, or the batches to run it on, from ``module:name`` as given on a command line.

Few things may be called: see ``docs/decisions/0010-what-a-factory-may-be.md``.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from inspect import isclass, isfunction, signature
from pathlib import Path
from typing import Any, get_type_hints

from torch import nn

INSTALLED = {"site-packages", "dist-packages"}


def build_model(factory: str) -> nn.Module:
    """Return the model that ``module:factory`` makes, a class or function that is called without arguments.

    In modules under the current directory it may be any function or class; in installed ones a subclass of
    ``nn.Module``, or a function that is annotated to return one. Python's own library is never imported for it.

    Raises:
        ValueError: if it is refused, not found, fails, or makes something else.

    Example:
        >>> build_model("torch.nn:Identity")
        Identity()
        >>> build_model("os:system")
        Traceback (most recent call last):
            ...
        ValueError: 'os:system' is refused: 'os' is part of Python itself, and makes no model
    """
    made = _called(factory, _checked(factory, "model", _makes_models))
    if not isinstance(made, nn.Module):
        raise ValueError(f"{factory!r} must return an nn.Module, got {type(made).__qualname__}")
    return made


def build_loader(loader: str) -> Any:
    """Return the batches that ``module:loader`` gives, which must lie under the current directory.

    If it gives an iterator, as a generator function does, it is called again for each pass.

    Raises:
        ValueError: if it is refused, not found, or fails.
    """
    factory = _checked(loader, "data", lambda made: False)
    made = _called(loader, factory)
    return _Again(loader, factory) if isinstance(made, Iterator) else made


@dataclass
class _Again:
    """Batches of a function whose result can be iterated over only once: it is called for each pass."""

    text: str
    factory: Callable[[], Any]

    def __iter__(self) -> Iterator[Any]:
        return _called(self.text, self.factory)


def is_factory(text: str) -> bool:
    """Return whether a text has the form ``module:name``.

    Example:
        >>> is_factory("nets.small:build"), is_factory("C:/weights.pt"), is_factory("digits")
        (True, False, False)
    """
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _checked(text: str, makes: str, may_be: Callable[[Any], bool]) -> Callable[[], Any]:
    """Return the class or function of that name, after all checks; ``may_be`` judges those of installed modules."""
    if not is_factory(text):
        raise ValueError(f"{text!r} does not have the form module:name, for example nets.small:build")
    module, _, name = text.partition(":")
    # Where the module comes from is checked before anything in it runs.
    spec = _found(text, module.split(".")[0], makes)
    if any(part.startswith("__") for part in text.replace(":", ".").split(".")):
        raise ValueError(f"{text!r} is refused: names that begin with two underscores are Python's own")
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # users' modules can fail in any way
        raise ValueError(f"{text!r}: importing {module} failed, {_first_line(error)}") from error
    if not hasattr(imported, name):
        raise ValueError(f"{text!r} was not found: the module {module} has no {name!r}")
    found = getattr(imported, name)
    _check_own(text, found, module)
    if not (_is_local(spec) or may_be(found)):
        raise ValueError(
            f"{text!r} is refused: outside of the current directory only subclasses of nn.Module, and functions "
            "annotated to return one, are called; write a small function of your own that calls it"
        )
    return found


def _found(text: str, top: str, makes: str) -> ModuleSpec:
    if top in sys.stdlib_module_names or top == "__main__":
        raise ValueError(f"{text!r} is refused: {top!r} is part of Python itself, and makes no {makes}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    spec = find_spec(top)
    if spec is None:
        raise ValueError(f"{text!r} was not found: there is no module {top!r} installed or in the current directory")
    return spec


def _is_local(spec: ModuleSpec) -> bool:
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    here = Path.cwd().resolve()
    paths = [Path(place).resolve() for place in places if place]
    # A virtual environment may lie under the current directory: what is installed in it is not the user's own.
    return bool(paths) and all(
        path.is_relative_to(here) and not INSTALLED & set(path.relative_to(here).parts) for path in paths
    )


def _check_own(text: str, found: Any, module: str) -> None:
    """Refuse all but what the module's own package defines: what it imports from elsewhere could be anything."""
    if not (isfunction(found) or isclass(found)):
        raise ValueError(f"{text!r} must be a function or a class, got {type(found).__qualname__}")
    home = str(found.__module__)
    if home.split(".")[0] != module.split(".")[0]:
        raise ValueError(f"{text!r} is refused: it comes from {home}; name something that {module} defines itself")
    try:
        signature(found).bind()
    except TypeError as error:
        raise ValueError(f"{text!r} must work without arguments: {error}; wrap it in a function of your own") from error


def _makes_models(found: Any) -> bool:
    if isclass(found):
        return issubclass(found, nn.Module)
    try:
        promised = get_type_hints(found).get("return")
    except Exception:  # annotations may name anything
        return False
    return isclass(promised) and issubclass(promised, nn.Module)


def _called(text: str, factory: Callable[[], Any]) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:  # users' code can fail in any way
        raise ValueError(f"{text!r} failed: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    line = str(error).strip().split("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
