"""What is given away: the wheel holds the package and nothing else, the sdist all that its tests need."""

import ast
import email
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import cofire

HERE = Path(__file__).parents[1]
PACKAGE = HERE / "src" / "cofire"

build = pytest.importorskip("build", reason="needs build")
pytest.importorskip("hatchling", reason="needs hatchling")
yaml = pytest.importorskip("yaml", reason="needs PyYAML")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(HERE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.suffix: path for path in out.iterdir()}


def files_in(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".DS_Store"
    }


def test_the_wheel_is_the_package(made):
    names = zipfile.ZipFile(made[".whl"]).namelist()
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == {f"cofire/{name}" for name in files_in(PACKAGE)}
    about = {name.partition(".dist-info/")[2] for name in names} - {""}
    assert about == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def test_the_sdist_builds_and_tests_itself_and_holds_no_junk(made):
    with tarfile.open(made[".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()} - {""}
    needed = {"pyproject.toml", "constraints.txt", "Makefile", "mkdocs.yml", "README.md", "LICENSE", "CHANGELOG.md"}
    needed |= {"CITATION.cff", "references.bib"}
    assert needed <= names
    for folder in ("src", "tests", "docs", "benchmarks"):
        assert {name for name in names if name.startswith(f"{folder}/")} == {
            f"{folder}/{name}" for name in files_in(HERE / folder)
        }
    others = {name for name in names if "/" not in name} - needed
    assert others <= {"CONTRIBUTING.md", "VISION.md", "PKG-INFO", ".gitignore"}


def test_what_is_in_the_wheel_works_alone(made, tmp_path):
    """From the wheel's own files, not from where they were made."""
    zipfile.ZipFile(made[".whl"]).extractall(tmp_path / "site")
    code = (
        "import cofire.reports.page.live as live; import pathlib; root = pathlib.Path.cwd() / 'site'\n"
        "assert root in pathlib.Path(live.__file__).parents, live.__file__\n"
        "page = live.LivePage([pathlib.Path('nowhere')]).page()\n"
        "assert 'Waiting' in page.html"
    )
    for command in (["-c", code], ["-m", "cofire", "--version"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_the_metadata_say_what_a_published_package_says(made):
    with zipfile.ZipFile(made[".whl"]) as wheel:
        (name,) = (one for one in wheel.namelist() if one.endswith("METADATA"))
        about = email.message_from_bytes(wheel.read(name))
    for field in ("Summary", "License-Expression", "Author", "Keywords", "Requires-Python"):
        assert about[field], field
    assert about["Description-Content-Type"] == "text/markdown" and "# cofire" in about.get_payload()
    assert not about.get_all("Project-URL") and not about["Home-page"]  # there is no page on the network
    listed = set(about.get_all("Classifier"))
    assert {"Typing :: Typed", *(f"Programming Language :: Python :: 3.{minor}" for minor in range(11, 15))} <= listed


def test_the_citation_names_this_version():
    citation = yaml.safe_load((HERE / "CITATION.cff").read_text())
    assert citation["version"] == cofire.__version__
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)


FOR_EXTRAS = {
    "integrations": {"accelerate", "lightning", "mlflow", "torchmetrics", "transformers", "wandb"},
    # forms in which a shrunken network is saved; models of libraries by name, and data as these prepare them
    "nets": {"PIL", "datasets", "onnxruntime", "pyarrow", "timm", "torchvision", "transformers"},
    "record": {"pandas"},
}
"""Packages that a part of cofire imports for an extra; the papers' own are theirs."""

THROUGH_OTHERS = {"llvmlite": "numba", "markupsafe": "jinja2"}


def packages_imported(path: Path) -> set[str]:
    """The packages that a file imports anywhere in it, those of Python and cofire left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"cofire"}


def test_commands_on_files_need_only_what_the_wheel_installs():
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    installed = {one.partition(">")[0] for one in project["dependencies"]}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0]
        if part == "papers" or path.name == "reproduce.py":
            continue
        needed = {THROUGH_OTHERS.get(one, one) for one in packages_imported(path)}
        assert needed <= installed | FOR_EXTRAS.get(part, set()), path


def test_the_demonstration_installs_little():
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    assert [one.partition(">")[0] for one in project["optional-dependencies"]["demo"]] == ["scikit-learn"]
    makefile = (HERE / "Makefile").read_text()
    assert re.search(r"^demo: \$\(VENV\)/.demo-ready ", makefile, re.MULTILINE)
    recipe = makefile.partition("$(VENV)/.demo-ready: pyproject.toml")[2].partition("\n\n")[0]
    assert '".[demo]"' in recipe and "EXTRAS" not in recipe


def test_make_installs_every_extra():
    declared = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (listed,) = re.findall(r"^EXTRAS := (.*)$", (HERE / "Makefile").read_text(), re.MULTILINE)
    assert set(listed.split(",")) == set(declared)
