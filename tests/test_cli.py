import subprocess
import sys
from pathlib import Path


def cofire(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cofire", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_demo_writes_a_report_and_again_needs_no_training(tmp_path: Path) -> None:
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


def test_version_and_help(tmp_path: Path) -> None:
    assert cofire("--version", cwd=tmp_path).stdout.startswith("cofire 0.")
    helped = cofire("--help", cwd=tmp_path)
    assert helped.returncode == 0 and "demo" in helped.stdout and "report" in helped.stdout


def test_wrong_input_is_one_line_and_status_two(tmp_path: Path) -> None:
    for arguments in (["report", "nowhere"], ["report"], ["demo", "--epochs", "0"], ["dance"]):
        done = cofire(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr and "Traceback" not in done.stderr


def test_importing_cofire_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, cofire; print([m for m in ('torch', 'numba', 'pandas', 'scipy', 'plotly') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
