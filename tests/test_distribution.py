"""What is given away: the wheel holds the package and nothing else, the sdist all that its tests need."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
PACKAGE = HERE / "src" / "cofire"

build = pytest.importorskip("build", reason="needs build")
pytest.importorskip("hatchling", reason="needs hatchling")


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


def test_make_installs_every_extra():
    declared = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (listed,) = re.findall(r"^EXTRAS := (.*)$", (HERE / "Makefile").read_text(), re.MULTILINE)
    assert set(listed.split(",")) == set(declared)
