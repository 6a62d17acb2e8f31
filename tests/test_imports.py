"""What is imported when: ``import cofire`` costs nothing, and no heavy package comes in unasked."""

import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

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
    assert {name for name in modules if name.startswith("cofire")} == {"cofire", "cofire._public", "cofire._version"}


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


ENTRY = {
    *("inspect", "shrink", "compare", "report", "Tracker", "capture", "wire", "CorrelationPenalty"),
    *("neuronal_correlation", "weight_correlation", "dependence_score", "entropy_knn"),
}
PARTS = {"integrations", "nets", "papers", "record", "reports", "stats"}
PACKAGES = ["cofire", *(one.name for one in walk_packages(cofire.__path__, "cofire.") if one.ispkg)]
OTHERS = {"accelerate", "lightning", "mlflow", "tensorboard", "torchmetrics", "trackio", "transformers", "wandb"}


def test_the_index_offers_what_users_need_and_nothing_else():
    assert set(dir(cofire)) == {*ENTRY, *PARTS, "__version__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_completion_offers_public_names_only(package):
    found = import_module(package)
    assert dir(found) == sorted(getattr(found, "__all__", []))
    for name in set(dir(found)) - OTHERS:
        assert getattr(found, name) is not None


@pytest.mark.parametrize(
    "name", ["nets.surgery.output_error", "stats.redundancy.effective_rank", "record.runs.rows.Row"]
)
def test_modules_are_imported_when_they_are_asked_for(name):
    assert f"cofire.{name.rpartition('.')[0]}" in imported_by(f"import cofire\ncofire.{name}")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_named(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nowhere'"):
        _ = import_module(package).nowhere
    assert not hasattr(import_module(package), "_nowhere")
