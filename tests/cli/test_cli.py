import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cofire.cli import app, main
from cofire.record import Row, Run

# One thread: on a busy machine, threads that wait for one another are very slow.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def cofire(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cofire", *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=600,
    )


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_demo_writes_a_report_and_resumes_a_finished_run(tmp_path: Path) -> None:
    for _ in range(2):
        done = cofire("demo", "--epochs", "2", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "hidden3" in done.stdout and "Test accuracy" in done.stdout
    page = (tmp_path / "report.html").read_text()
    assert (
        "Content-Security-Policy" in page
        and "hidden1" in page
        and "http://" not in page.replace("http://www.w3.org", "")
    )


def test_the_report_is_written_even_if_stdout_is_closed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cofire", "demo", "--epochs", "1"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=600)
    assert (tmp_path / "report.html").exists() and b"Traceback" not in errors


def test_version_and_help(tmp_path: Path) -> None:
    assert cofire("--version", cwd=tmp_path).stdout.startswith("cofire 0.")
    helped = invoke("--help")
    assert helped.exit_code == 0 and "demo" in helped.stdout and "report" in helped.stdout
    for command in ("demo", "report"):
        assert f"Example: cofire {command}" in " ".join(invoke(command, "--help").stdout.split())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Run.open(tmp_path / "run", mode="write") as opened:
        opened.table([Row("run", step, 0, "fc", "nc", "{}", 0.5, 10, 0) for step in range(400)])
    return tmp_path / "run"


def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails and return its one line on stderr, free of Python's and the system's notation."""
    monkeypatch.setattr("sys.argv", ["cofire", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    assert left.value.code == 2 and not said.out.strip()
    for foreign in ("Traceback", "Errno", ".partial", "Error:"):
        assert foreign not in said.err
    *stages, last = said.err.splitlines()
    assert all(line.endswith(" …") for line in stages) and last.startswith("cofire: ")
    return last


def test_wrong_input_prints_one_line_and_exits_with_two(run, tmp_path, monkeypatch, capsys) -> None:
    complain = partial(complaint, monkeypatch, capsys)
    good, page = str(run), str(tmp_path / "page.html")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for directory in ("nowhere", "empty", "file"):
        assert "is not a run directory" in complain("report", str(tmp_path / directory))
    assert "does not exist" in complain("report", good, "-o", str(tmp_path / "no" / "page.html"))
    assert "is a folder" in complain("report", good, "-o", str(tmp_path))
    assert "is a folder" in complain("demo", "-o", str(tmp_path))
    assert "is a file; give a directory" in complain("demo", "--run", str(tmp_path / "file"), "-o", page)
    with Run.open(run, mode="write"):
        assert "in use" in complain("demo", "--run", good, "-o", page)
    assert not Path(page).exists()


@pytest.mark.parametrize("damage", ["beginning", "middle", "no table", "gone", "description"])
def test_damaged_runs_are_reported(damage, run, monkeypatch, capsys) -> None:
    table = run / "rows.sqlite"
    content = bytearray(table.read_bytes())
    if damage == "beginning":
        content[:100] = b"x" * 100
    elif damage == "middle":
        content[4096:] = b"x" * (len(content) - 4096)
    elif damage == "no table":
        content = bytearray()
    table.write_bytes(content)
    if damage == "gone":
        table.unlink()
    if damage == "description":
        (run / "run.json").write_text("{")
    said = complaint(monkeypatch, capsys, "report", str(run), "-o", str(run.parent / "page.html"))
    assert "rows.sqlite" in said or "is damaged" in said
    assert not (run.parent / "page.html").exists()


def test_wrong_options_exit_with_two(tmp_path: Path) -> None:
    for arguments in (["report"], ["demo", "--epochs", "0"], ["dance"]):
        assert invoke(*arguments).exit_code == 2


def test_report_opens_the_page(run, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    done = invoke("report", str(run), "-o", str(run.parent / "page.html"), "--open")
    assert done.exit_code == 0 and opened == [(run.parent / "page.html").resolve().as_uri()]
    assert "No browser" in done.stderr  # append returns None, as webbrowser.open does without a browser


def test_a_demo_with_other_options_replaces_the_earlier_one_but_no_other_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for epochs in ("1", "2"):
        done = invoke("demo", "--epochs", epochs)
        assert done.exit_code == 0, done.output
    with Run.open("runs/demo") as run:
        assert run.config["epochs"] == 2 and {row.epoch for row in run.rows()} == {0, 1, 2}
    Run.open("runs/mine", mode="write", config={"data": "digits", "lr": 1.0}).close()
    assert "another configuration" in str(invoke("demo", "--run", "runs/mine", "--epochs", "1").exception)


def test_a_demo_asks_for_scikit_learn_before_it_does_anything(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cofire.cli.demo.find_spec", lambda name: None)
    said = complaint(monkeypatch, capsys, "demo", "--run", str(tmp_path / "run"), "-o", str(tmp_path / "page.html"))
    assert 'pip install "cofire[demo]"' in said and len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError('the digits need scikit-learn: pip install "cofire[papers]"'), "digits need scikit-learn"),
        (ModuleNotFoundError("No module named 'joblib'", name="joblib"), 'with: pip install "cofire[papers]"'),
        (ModuleNotFoundError("No module named 'einops'", name="einops.layers"), "with: pip install einops"),
    ],
)
def test_a_missing_package_is_named(error, words, run, monkeypatch, capsys) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("cofire.reports.write_report", fail)
    assert words in complaint(monkeypatch, capsys, "report", str(run), "-o", str(run.parent / "page.html"))


def test_a_broken_import_of_our_own_is_not_hidden(run, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ImportError("cannot import name 'nothing'", name="cofire.reports")

    monkeypatch.setattr("cofire.reports.write_report", fail)
    monkeypatch.setattr("sys.argv", ["cofire", "report", str(run), "-o", str(run.parent / "page.html")])
    with pytest.raises(ImportError, match="cannot import name"):
        main()


def test_other_errors_are_not_hidden(monkeypatch, run) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of our own")

    monkeypatch.setattr("cofire.reports.write_report", fail)
    monkeypatch.setattr("sys.argv", ["cofire", "report", str(run), "-o", str(run.parent / "page.html")])
    with pytest.raises(RuntimeError, match="of our own"):
        main()


def restore_sigint() -> None:
    """Restore SIGINT, which processes started in a shell's background ignore, and their children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_can_be_resumed(how: signal.Signals, status: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cofire", "demo", "--epochs", "3000"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=restore_sigint,
    )
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("runs/demo/checkpoints/step-*"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(how)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status and b"Traceback" not in errors
    with Run.open(tmp_path / "runs" / "demo", mode="write") as opened:
        assert opened.load() is not None


def test_importing_cofire_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, cofire; print([m for m in ('torch', 'numba', 'pandas', 'scipy', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
