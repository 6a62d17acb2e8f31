"""What a shrunken network came to, in 80 columns: names are text, and many layers are few lines."""

from dataclasses import replace

import pytest
from rich.console import Console

from cofire.nets.shrinking import GroupCut, Point
from cofire.reports.data.shrink_rows import beyond, costs, curve_rows, error_text, group_rows, layer_rows, why_nothing
from cofire.reports.terminal.shrink_table import shrink_summary

from ..shrunken import EVIL, network, shrunken


def shown(found, **options) -> str:
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(shrink_summary(found, **options))
    return captured.get()


def test_the_table_says_what_stays_and_what_it_costs():
    found = shrunken()
    text = shown(found)
    before, after = found.n_parameters
    assert text.startswith(f"{after:,} of {before:,} parameters stay (")
    rows = [line.split() for line in text.splitlines()]
    hidden = found.cuts["hidden"]
    assert ["hidden", "16", str(len(hidden.kept))] in [cells[:3] for cells in rows]
    assert f"Outputs move by {error_text(found.measured)} of their standard deviation as measured," in text
    assert f"{error_text(found.predicted)} predicted to first order." in text
    assert "Cut and refitted on 400 samples, measured on 200 others." in text
    assert "out: its units are the network's outputs" in text
    assert ["Parameters", "Predicted", "Measured", "Score"] in rows
    assert max(map(len, text.splitlines())) <= 80


def test_names_are_text():
    text = shown(shrunken())
    assert "\x1b" not in text and "<script>" in text and "[bold]" in text
    assert EVIL in {row.name for row in group_rows(shrunken())}


def test_many_groups_of_a_kind_share_a_row():
    found = shrunken()
    cuts = {f"encoder.{i}.fc": GroupCut((f"encoder.{i}.fc",), 64, tuple(range(30 + i)), 0.01 * i) for i in range(30)}
    left = {f"encoder.{i}.norm": "it is odd" for i in range(30)}
    text = shown(replace(found, cuts={**cuts, "head": GroupCut(("head",), 8, (0, 1), float("nan"))}, left=left))
    rows = [line.split() for line in text.splitlines()]
    assert ["encoder.#.fc", "30", "64", "30–59", "29", "%"] in rows and ["head", "1", "8", "2", "–"] in rows
    assert "encoder.0.norm, encoder.1.norm, encoder.2.norm, encoder.3.norm and 26 more: it is odd" in " ".join(
        text.split()
    )
    assert len(text.splitlines()) < 30


def test_nothing_removed_gives_reasons_alone():
    text = shown(replace(shrunken(), cuts={}), why_nothing="No layer can be cut.")
    assert text.splitlines()[:2] == ["Nothing was removed.", "No layer can be cut."] and "out: its" in text
    assert "Parameters" not in text


def test_a_curve_without_predictions_is_left_out():
    found = replace(shrunken(), predicted=None, curve=(Point(0.8, None), Point(0.6, None, 0.1), Point(0.5, None)))
    assert "not predicted." in shown(found) and "Predicted" not in shown(found)


def test_a_size_that_was_built_stands_once_in_the_curve():
    curve = (Point(0.8, 0.1), Point(0.6, 0.2, 0.21), Point(0.6, 0.2))
    assert curve_rows(replace(shrunken(), curve=curve)) == list(curve[:2])


def test_notes_and_multiplications_are_told():
    found = replace(shrunken(), notes=("few samples",), per="flops", share=0.4)
    assert "Note: few samples." in shown(found) and "Multiplications: 40 % of those before." in costs(found)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.00166, "0.166 %"), (1.234, "123 %"), (123.4, "12,300 %"), (2e-6, "0.0002 %"), (float("nan"), "–")],
)
def test_errors_have_three_digits(share, text):
    assert error_text(share) == text


def test_a_loss_beyond_what_was_allowed_is_told():
    found = replace(shrunken(), measured=0.2, score=(0.9, 0.85))
    assert "the score fell by 0.05, more than 0.01" in (beyond(found, 0.01) or "")
    assert beyond(found, 0.06) is None and beyond(found, None) is None
    assert "the outputs moved by 20 %, more than 0.1" in (beyond(replace(found, score=None), 0.1) or "")
    assert why_nothing(0.5, None) == "No layer can be cut that far."


def test_layers_are_listed_with_their_parameters():
    found = shrunken()
    rows = {row.name: row for row in layer_rows(network(), found)}
    first, second = len(found.cuts[EVIL].kept), len(found.cuts["hidden"].kept)
    assert list(rows) == [EVIL, "hidden", "out"]
    assert (rows["hidden"].kept, rows["hidden"].units) == (second, 16) and rows["out"].units == 0
    assert (rows["hidden"].before, rows["hidden"].after) == (24 * 16 + 16, first * second + second)
