"""Figures 2 to 4 share their networks; so do these tables."""

from math import isnan, nan

import pytest
import torch

from cofire import correlation_penalty
from cofire.papers.framework.claim_table import Table
from cofire.papers.simon2016 import FIG2, FIG3, FIG4
from cofire.papers.simon2016.fig2_penalty_weight import CODED, HIDDEN, KINDS, OTHER, run
from cofire.papers.simon2016.fig3_network_size import error
from cofire.papers.simon2016.simon_networks import SIZES, data_of, finite, networks_of, penalized
from cofire.papers.training.datasets import digits
from cofire.papers.training.stacked_training import correlation_penalties

ORDER = (*KINDS, OTHER, *CODED[1:])
Law = dict[str, float]


def rows(nc: Law, early: Law, growth: Law, *, diverged: float = 0.0) -> Table:
    """Mean correlation, error after two epochs, and growth of the error from size to size, by kind."""
    found = []
    for place, size in enumerate(reversed(SIZES)):  # HUGE first
        for kind in ORDER:
            final = 0.02 + place * growth[kind]
            scores = [(epoch, "", "test_accuracy", 1 - (early[kind] if epoch == 2 else final)) for epoch in (0, 2, 8)]
            spread = [(8, layer, "nc", nc[kind]) for layer in HIDDEN] + [(8, layer, "share", 0.02) for layer in HIDDEN]
            for one in [*scores, *spread, (8, "", "diverged", diverged * ("1.0" in kind))]:
                found += [(size, kind, init, *one) for init in ("torch", "normal")]
    names = "size", "kind", "init", "epoch", "site", "measure", "value"
    return Table(
        {**dict(zip(names, one, strict=True)), "value": one[-1] * (1 - seed / 1000), "seed": seed, "bin": 0}
        for one in found
        for seed in range(3)
    )


def law(*values: float) -> Law:
    """Numbers of VANILLANET, CORRNET-0.1, CORRNET-1.0 and BATCHNORM; the code's CORRNETs have those of the text's."""
    return dict(zip(ORDER, (*values, *values[1:3]), strict=True))


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


def test_huge_networks_alone_say_nothing_about_size() -> None:
    huge = PAPER.where(size="HUGE")
    assert {claim.verdict(huge).outcome for claim in FIG3.claims} == {"inconclusive"}
    assert FIG4.claims[0].verdict(huge).reproduced


def test_each_reading_of_the_penalty_is_judged_by_its_own_networks() -> None:
    weak = rows(law(0.4, 0.5, 0.6, 0.3), law(0.1, 0.12, 0.14, 0.09), law(0.01, 0.03, 0.005, 0.015), diverged=1.0)
    by_text = PAPER.where(kind=lambda kind: kind not in CODED[1:])
    by_code = weak.where(kind=CODED[1:])
    for claim in (claim for one in (FIG2, FIG3, FIG4) for claim in one.claims):
        of_the_code = claim.name.endswith("as in the author's code")
        both = claim.verdict(Table([*by_text, *by_code]))
        assert both.outcome == ("not reproduced" if of_the_code else "reproduced"), claim.name
        assert claim.verdict(by_text).outcome == ("inconclusive" if of_the_code else "reproduced"), claim.name


def test_the_codes_penalty_is_a_batchs_share_of_the_texts() -> None:
    weights = {}
    for task in FIG2.tasks("quick"):
        found = penalized(task)
        weights[task["kind"]] = None if found is None else found.weight
    assert weights == {
        "VANILLANET": None, "CORRNET-0.1": 0.1, "CORRNET-1.0": 1.0, "BATCHNORM": None,
        "CORRNET-0.1 (code)": 0.1 / 50, "CORRNET-1.0 (code)": 1.0 / 50,
    }  # fmt: skip
    x = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    ours, library = correlation_penalties(x[None])[0] / 50, correlation_penalty(x, scale="per_sample")
    assert float(ours) == pytest.approx(float(library))


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
