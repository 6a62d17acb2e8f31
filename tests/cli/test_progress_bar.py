"""Without a terminal, progress is lines on stderr at a modest rate, and nothing on stdout."""

import pytest

from cofire.cli.progress_bar import EVERY, lines, progress_bar


def test_a_line_at_the_start_and_then_one_in_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    show = lines("Measuring", clock=lambda: now)
    assert capsys.readouterr().err == "Measuring …\n"
    for step in range(1001):
        now = step * EVERY / 400
        show(step, 1000)
    assert capsys.readouterr().err == (
        "Measuring: 400 of 1,000, about 15.0 s left\nMeasuring: 800 of 1,000, about 5.0 s left\n"
    )


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Training") as show:
        show(1, 2)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Training …\n")
