"""Builds what the site lists of the code and of the papers: a page for each public object, and one for each figure."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.structure.files import File, Files

from cofire import integrations
from cofire.integrations import loggers

PACKAGES = (
    "cofire", "cofire.stats", "cofire.stats.truth", "cofire.nets", "cofire.nets.redundancy", "cofire.nets.surgery",
    "cofire.nets.shrinking", "cofire.nets.penalties", "cofire.record", "cofire.reports",
)  # fmt: skip
FRAMEWORKS = [
    "cofire.integrations.logged_numbers",
    *(f"cofire.integrations.{name}" for name in integrations.__all__ if name != "loggers"),
    *(f"cofire.integrations.loggers.{name}" for name in loggers.__all__),
]
MODULES = (
    *("cofire.nets.generalization", "cofire.nets.loading.checkpoint_files"),
    *("cofire.reports.page.live", "cofire.reports.page.server", *FRAMEWORKS),
)
OBJECT = """---
title: {name}
---

[{package}](../{package}.md): `from {package} import {name}`

::: {path}
    options: {{ show_root_heading: true, show_root_full_path: false, heading_level: 1 }}
"""
DOCTEST = re.compile(r"^```python\n(?=>>>)", re.MULTILINE)


def objects(package: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public functions and classes of a package; `cofire` itself lists those of others."""
    for name in package.__all__:
        found = getattr(package, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            yield name, found


def summary_of(one: Any) -> str:
    """Return the summary of a docstring, for a cell of a table."""
    return (inspect.getdoc(one) or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def pages() -> dict[str, str]:
    """Return the Markdown of each page of the reference, by its path."""
    found = {}
    for package in map(import_module, PACKAGES):
        rows = []
        for name, one in objects(package):
            # A name that several packages offer has one page, which imports it from the first.
            path = f"{one.__module__}.{one.__qualname__}"
            # Folders keep `Capture` and `capture` apart where a file system takes upper and lower case for the same.
            page = f"{'classes' if inspect.isclass(one) else 'functions'}/{path}.md"
            found.setdefault(f"api/{page}", OBJECT.format(name=name, package=package.__name__, path=path))
            rows.append(f"| [`{name}`]({page}) | {summary_of(one)} |")
        head = f"# {package.__name__}\n\n{summary_of(package)}\n\n| Name | |\n|---|---|\n"
        found[f"api/{package.__name__}.md"] = head + "\n".join(rows) + "\n"
    for module in MODULES:
        found[f"api/{module}.md"] = f"# {module}\n\n::: {module}\n"
    return found


def title_of(path: Path) -> str:
    """Return the name of a figure's page as its first line gives it, up to the colon."""
    return path.read_text().partition("\n")[0].removeprefix("# ").partition(":")[0]


def on_config(config: Any) -> Any:
    """Add the figures' pages and the reference to the navigation."""
    figures = sorted(Path(config.docs_dir, "papers").glob("*.*.md"))
    for section in config.nav:
        if "Papers" in section:
            section["Papers"].append({"Figures": [{title_of(path): f"papers/{path.name}"} for path in figures]})
    config.nav.append({"API": [{one: f"api/{one}.md"} for one in (*PACKAGES, *MODULES)]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Mark examples with prompts as console sessions, so that the copy button leaves the prompts out."""
    return DOCTEST.sub("```pycon\n", markdown)
