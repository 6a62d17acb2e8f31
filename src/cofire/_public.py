"""What a package offers: its public names, and its modules, each imported when it is first asked for."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def public(
    package: str, homes: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name.
        homes: names that are imported from a module of the package when they are first asked for, and that module.
    """
    homes = homes or {}

    def get(name: str) -> Any:
        module = sys.modules[package]
        if name in homes:
            found = getattr(import_module(f"{package}.{homes[name]}"), name)
            setattr(module, name, found)  # the next access finds it without asking here
            return found
        if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted(getattr(sys.modules[package], "__all__", ()))

    return get, names
