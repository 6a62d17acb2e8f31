"""What is imported when: ``import cofire`` costs nothing, and no heavy package comes in unasked."""

import subprocess
import sys

import pytest

import cofire

HEAVY = {"pandas", "scipy", "sklearn", "matplotlib", "jinja2", "numba", "rich", "typer", "pyarrow", "joblib"}
HEAVY |= {"lightning", "transformers", "torchmetrics", "tensorboard", "wandb", "mlflow"}


def imported_by(code: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], check=True, capture_output=True, text=True
    )
    return set(printed.stdout.split())


def test_cofire_imports_not_even_torch():
    modules = imported_by("import cofire")
    assert not modules & {*HEAVY, "torch", "numpy"}
    assert {name for name in modules if name.startswith("cofire")} == {"cofire", "cofire._version"}


def test_everything_but_the_leaves_does_without_heavy_packages():
    modules = imported_by("import cofire.stats\nfrom cofire import Tracker, capture\nTracker, capture")
    assert not modules & HEAVY
    assert not any(name.startswith("cofire.stats.truth") for name in modules)


@pytest.mark.parametrize("arguments", ["--help", "--version", "watch --help", "inspect --help", "reproduce --help"])
def test_the_command_line_answers_before_anything_heavy_is_imported(arguments):
    code = f"import sys\nsys.argv = ['cofire', *{arguments.split()}]\nfrom cofire.cli import main\ntry:\n  main()\n"
    modules = imported_by(code + "except SystemExit as left:\n  assert not left.code")
    assert "cofire.cli.commands" in modules
    assert not modules & ({*HEAVY, "torch", "numpy", "sqlite3"} - {"rich", "typer"})


def test_truth_is_there_when_it_is_asked_for():
    assert "cofire.stats.truth.cases" in imported_by("import cofire.stats\ncofire.stats.truth")
    assert "cofire.stats.truth.cases" in imported_by("from cofire.stats import truth")


@pytest.mark.parametrize("name", cofire.__all__)
def test_the_index_leads_to_what_it_names(name):
    assert getattr(cofire, name) is not None
    assert name in dir(cofire)


@pytest.mark.parametrize("module", ["cofire", "cofire.stats"])
def test_a_name_that_is_not_there_is_named(module):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nowhere'"):
        _ = __import__(module, fromlist=["_"]).nowhere
