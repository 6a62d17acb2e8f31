"""Figures 2 to 4 share their networks; so do these tables."""

from math import isnan, nan

import pytest

from cofire.papers.data import digits
from cofire.papers.simon2016 import FIG2, FIG3, FIG4
from cofire.papers.simon2016.fig2 import HIDDEN, KINDS, run
from cofire.papers.simon2016.fig3 import error
from cofire.papers.simon2016.networks import SIZES, data_of, finite, networks_of
from cofire.papers.table import Table

ORDER = dict(zip(("VANILLANET", "CORRNET-0.1", "CORRNET-1.0", "BATCHNORM"), range(4), strict=True))
Law = dict[str, float]


def rows(nc: Law, early: Law, growth: Law, *, diverged: float = 0.0) -> Table:
    """Mean correlation, error after two epochs, and growth of the error from size to size, by kind."""
    found = []
    for place, size in enumerate(reversed(SIZES)):  # HUGE first
        for kind in ORDER:
            final = 0.02 + place * growth[kind]
            scores = [(epoch, "", "test_accuracy", 1 - (early[kind] if epoch == 2 else final)) for epoch in (0, 2, 8)]
            spread = [(8, layer, "nc", nc[kind]) for layer in HIDDEN] + [(8, layer, "share", 0.02) for layer in HIDDEN]
            for one in [*scores, *spread, (8, "", "diverged", diverged * (kind == "CORRNET-1.0"))]:
                found += [(size, kind, init, *one) for init in ("torch", "normal")]
    names = "size", "kind", "init", "epoch", "site", "measure", "value"
    return Table(
        {**dict(zip(names, one, strict=True)), "value": one[-1] * (1 - seed / 1000), "seed": seed, "bin": 0}
        for one in found
        for seed in range(3)
    )


def law(*values: float) -> Law:
    return dict(zip(ORDER, values, strict=True))


def verdicts(table: Table) -> set[str]:
    return {claim.verdict(table).outcome for one in (FIG2, FIG3, FIG4) for claim in one.claims}


PAPER = rows(law(0.4, 0.2, 0.1, 0.3), law(0.10, 0.08, 0.06, 0.09), law(0.01, 0.005, 0.02, 0.015))


def test_as_the_paper_has_it() -> None:
    assert error(PAPER, "TINY", "VANILLANET", epoch=2)[0] == pytest.approx(10)
    assert verdicts(PAPER) == {"reproduced"}


def test_otherwise() -> None:
    table = rows(law(0.1, 0.2, 0.4, 0.3), law(0.06, 0.08, 0.10, 0.05), law(-0.001, 0.003, -0.002, -0.003), diverged=1.0)
    assert verdicts(table) == {"not reproduced"}
    assert verdicts(Table([])) == {"inconclusive"}


def test_a_network_that_diverged_decides_nothing_of_its_correlation() -> None:
    broken = Table(
        {**row, "value": nan} if row["kind"] == KINDS[-1] and row["measure"] == "nc" and row["seed"] == 1 else row
        for row in PAPER
    )
    assert FIG2.claims[0].verdict(broken).outcome == "inconclusive"


@pytest.mark.parametrize("experiment", [FIG2, FIG3, FIG4])
def test_figures_are_drawn(experiment) -> None:
    (figure,) = experiment.figures.values()
    assert figure(PAPER).axes


def test_a_task_records_scores_and_spread() -> None:
    task = next(task for task in FIG2.tasks("smoke", seeds=1) if task["size"] == "TINY" and "CORR" in task["kind"])
    found = list(run(task))
    assert {row.epoch for row in found if row.measure == "test_accuracy"} == {0, 1, 2, 3}
    assert {row.site for row in found if row.measure == "nc"} == set(HIDDEN)
    for layer in HIDDEN:
        assert sum(row.value for row in found if row.measure == "share" and row.site == layer) == pytest.approx(1)


def test_what_is_not_a_number_any_more_is_told() -> None:
    task = FIG2.tasks("smoke", seeds=2)[0]
    networks = networks_of(task, data_of(task))
    networks[1][1].weight.data[0, 0] = nan
    assert finite(networks) == [True, False]
    assert len(data_of(task).test_x) == len(digits().train_x) // 6
    assert isnan(networks[1][1].weight[0, 0].item())
