"""Figures 2, 3 and B.1 share their networks; so do these tables."""

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.zhang2018 import FIG2, FIG3, FIGB1
from cofire.papers.zhang2018.fig2_entropy_width import change
from cofire.papers.zhang2018.zhang_networks import LAYERS

WIDTHS = 20, 50, 400


def rows(*, change: float, iota: float, accuracy: float, last: float = 0.3, grows: float = -1) -> Table:
    """|ΔH| and ι at the largest width; ten times as much, or a tenth, at the others."""
    found = []
    for width in WIDTHS:
        factor = 1 if width == WIDTHS[-1] else 10.0 ** (-grows)
        for number, layer in enumerate(LAYERS):
            value = last if layer == "output" else iota * factor
            found += [
                (width, layer, 0, "entropy", 1.0),
                (width, layer, 9, "entropy", 1.0 + change * factor * (-1) ** number),
            ]
            found += [
                (width, layer, 0, "iota", 0.012),
                (width, layer, 9, "iota", value),
                (width, layer, 9, "threshold", 0.015),
            ]
        found += [(width, "", 9, name, accuracy) for name in ("accuracy", "test_accuracy")]
    names = "width", "site", "epoch", "measure", "value"
    return Table(
        {
            **dict(zip(names, one, strict=True)),
            "value": one[-1] * (1 + seed / 1000),
            "seed": seed,
            "activation": activation,
        }
        for one in found
        for seed in range(3)
        for activation in ("relu", "tanh")
    )


def verdicts(table: Table) -> set[str]:
    return {claim.verdict(table).outcome for one in (FIG2, FIG3, FIGB1) for claim in one.claims}


def test_as_the_paper_has_it() -> None:
    table = rows(change=0.02, iota=0.011, accuracy=0.995)
    assert change(table, "hidden2", width=400, activation="relu")[0] == pytest.approx(-0.02)
    assert verdicts(table) == {"reproduced"}


def test_otherwise() -> None:
    assert verdicts(rows(change=0.5, iota=0.4, accuracy=0.5, last=0.1, grows=1)) == {"not reproduced"}


def test_missing_rows_decide_nothing() -> None:
    assert verdicts(Table([])) == {"inconclusive"}
    table = rows(change=0.02, iota=0.011, accuracy=0.995)
    assert FIG3.claims[0].verdict(table.where(site=lambda name: name != "hidden3")).outcome == "inconclusive"


def test_figures_of_one_training_share_its_tasks() -> None:
    assert [task.id for task in FIG2.tasks("quick")] == [task.id for task in FIG3.tasks("quick")]
    assert not {task.id for task in FIG2.tasks("quick")} & {task.id for task in FIGB1.tasks("quick")}


@pytest.mark.parametrize("experiment", [FIG2, FIG3, FIGB1])
def test_figures_are_drawn(experiment) -> None:
    table = rows(change=0.02, iota=0.011, accuracy=0.995)
    table = table.where(activation="relu") if experiment is FIGB1 else table
    (figure,) = experiment.figures.values()
    assert figure(table).axes
