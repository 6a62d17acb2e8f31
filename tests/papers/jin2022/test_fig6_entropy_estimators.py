import math

import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.tasks import Task
from cofire.papers.framework.verdicts import Verdict
from cofire.papers.jin2022.fig6_entropy_estimators import (
    FIG6,
    INPUT,
    KNN,
    LIKELY,
    NAMED,
    ORIGINAL,
    OUTPUT,
    WIDTHS,
    estimates,
    normal_entropy,
    run,
)
from cofire.stats.truth import MultivariateNormal

PROJECTED = (*WIDTHS, *NAMED)


def rows(*, log_det: float = 0.0, off: float = 0.1, original: float = 1.0, **others: float) -> Table:
    """Rows in which projected estimates are off from the right truth by some nats, the original one behind the layer.

    ``others`` are further distances of single estimators, by name.
    """
    return Table(
        {"variance": k, "place": place, "measure": measure, "seed": seed, "value": value + seed / 1000}
        for k in (0.3, 0.7, 1.0)
        for place in (INPUT, OUTPUT)
        for right in [normal_entropy(k) + log_det * (place == OUTPUT)]
        for measure, value in {
            "paper": normal_entropy(k),
            "right": right,
            **{name: right + off + others.get(name, 0.0) for name in PROJECTED},
            ORIGINAL: right + original * (place == OUTPUT),
            KNN: right,
        }.items()
        for seed in range(3)
    )


def verdicts(table: Table, *, whole: bool = True) -> dict[str, Verdict]:
    return {claim.name: claim.verdict(table, whole=whole) for claim in FIG6.claims}


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {name: found.word for name, found in verdicts(table, whole=whole).items()}


def test_as_the_paper_has_it() -> None:
    for whole in (True, False):
        assert set(words(rows(), whole=whole).values()) == {"reproduced"}


def test_otherwise() -> None:
    """Estimates that are one number whatever the input, and an original one that is right by either truth."""
    table = Table(
        {**row, "value": 40.0 + row["seed"] / 1000} if row["measure"] in PROJECTED else row
        for row in rows(original=0.0)
    )
    for whole in (True, False):  # the weights matter only through log |det A|
        assert set(words(table, whole=whole).values()) == {"not reproduced"}


def test_a_right_estimate_meets_the_right_truth_and_not_the_papers() -> None:
    found = words(rows(log_det=-2.0))
    assert found["close, right truth"] == found["nearer, right truth"] == "reproduced"
    assert found["close"] == found["nearer"] == "not reproduced"


def test_what_follows_the_papers_truth_meets_it() -> None:
    """Estimates that stay where the input's was: two nats off, but only behind the layer."""
    table = Table(
        {**one, "value": one["value"] + 2 * (one["measure"] in PROJECTED and one["place"] == OUTPUT)}
        for one in rows(log_det=-2.0)
    )
    found = words(table)
    assert found["close"] == "reproduced" and found["close, right truth"] == "not reproduced"


def test_the_estimator_decides() -> None:
    found = verdicts(rows(**{LIKELY: 5.0}))
    for name in ("close", "close, right truth", "nearer", "nearer, right truth"):
        readings = {told: one.word for told, one in found[name].readings}
        assert found[name].word == "depends" and readings.pop(LIKELY) == "not reproduced", name
        assert set(readings.values()) == {"reproduced"} and len(readings) == len(PROJECTED) - 2  # binning is none
    assert found["tells the inputs apart"].word == "reproduced"  # an error that is the same for every k


def test_an_infinite_estimate_is_not_close_and_no_number() -> None:
    broken = "eigenvectors, kNN (Eq. 7)"
    table = Table({**one, "value": -math.inf} if one["measure"] == broken and one["seed"] else one for one in rows())
    found = verdicts(table)
    for verdict in (dict(found["close"].readings)[broken], dict(found["nearer"].readings)[broken]):
        assert verdict.word == "not reproduced" and math.isnan(verdict.number.effect)
        assert verdict.note.endswith("the estimate is infinite in 2 of 3")
    assert found["close"].word == "depends" and found["tells the inputs apart"].word == "not reproduced"


def test_the_three_inputs_are_three_samples() -> None:
    table = Table(
        {**one, "value": one["value"] + (one["variance"] == 1.0 and one["measure"] in PROJECTED)} for one in rows()
    )
    found = verdicts(table)["close"]
    assert found.word == "not reproduced" and found.passed == (2, 3) and "k = 1" in found.note


def test_no_rows_decide_nothing() -> None:
    assert set(words(Table([])).values()) == {"not at this scale"}


def test_the_truths_are_those_of_the_distributions() -> None:
    assert normal_entropy(0.7) == pytest.approx(MultivariateNormal(0.7 * torch.eye(5)).entropy)
    task = Task.of("jin2022.fig6", 1, {"variance": 0.7, "samples": 2000, "epochs": 5}, [3])
    found = {(row.measure, "var*" in row.parameters): row.value for row in run(task)}
    assert found["paper", True] == found["paper", False] == found["right", False] == normal_entropy(0.7)
    # the nearest neighbors know nothing of the weights, and find what log |det A| has added
    assert found[KNN, True] - found[KNN, False] == pytest.approx(found["right", True] - found["right", False])
    assert found[ORIGINAL, False] == pytest.approx(normal_entropy(0.7), abs=0.2)
    # behind weights that have hardly learned, neighbors in the feature space may coincide
    assert all(math.isfinite(value) for (name, _), value in found.items() if name not in NAMED)


def test_figures_and_table_show_every_estimate() -> None:
    table = rows()
    assert {FIG6.figures[name](table).axes[0].get_ylabel() for name in ("fig6", "named")} == {"entropy (nats)"}
    lines = estimates(table).splitlines()
    assert lines[0].startswith("| nats | var k = 0.3 |") and len(lines) == 2 + len(PROJECTED) + 4
