import math

import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.tasks import Task
from cofire.papers.jin2022.fig6_entropy_estimators import (
    FIG6,
    INPUT,
    KNN,
    LABELED,
    ORIGINAL,
    OUTPUT,
    PROJECTED,
    normal_entropy,
    run,
)
from cofire.stats.truth import MultivariateNormal


def rows(**off: float) -> Table:
    """Rows in which each estimate is off from the right truth by some nats; log |det A| is −2."""
    return Table(
        {"variance": k, "place": place, "measure": measure, "seed": seed, "value": value + seed / 1000}
        for k in (0.3, 1.0)
        for place in (INPUT, OUTPUT)
        for right in [normal_entropy(k) - 2 * (place == OUTPUT)]
        for measure, value in {
            "paper": normal_entropy(k),
            "right": right,
            **{name: right + off.get(key, 0.0) for key, name in (("own", PROJECTED), ("labeled", LABELED))},
            ORIGINAL: right + off.get("original", 1.0) * (place == OUTPUT),
        }.items()
        for seed in range(3)
    )


def verdicts(table: Table) -> dict[str, str]:
    return {claim.name: claim.verdict(table).outcome for claim in FIG6.claims}


def test_a_right_estimate_meets_the_right_truth_and_not_the_papers() -> None:
    found = verdicts(rows(own=0.1, labeled=5.0))
    assert found["close, right truth"] == "reproduced" and found["nearer, right truth"] == "reproduced"
    assert found["close, the paper's truth"] == "not reproduced"
    assert found["nearer, the paper's truth"] == "not reproduced"
    assert found["close, width by labels"] == "not reproduced"


def test_what_follows_the_papers_truth_meets_it() -> None:
    """An estimate that stays where the input's was: two nats off, but only behind the layer."""
    table = Table(
        {**one, "value": one["value"] + 2 * (one["measure"] == PROJECTED and one["place"] == OUTPUT)} for one in rows()
    )
    found = verdicts(table)
    assert found["close, the paper's truth"] == "reproduced" and found["close, right truth"] == "not reproduced"


def test_no_rows_decide_nothing() -> None:
    assert set(verdicts(Table([])).values()) == {"inconclusive"}


def test_the_truths_are_those_of_the_distributions() -> None:
    assert normal_entropy(0.7) == pytest.approx(MultivariateNormal(0.7 * torch.eye(5)).entropy)
    task = Task.of("jin2022.fig6", 1, {"variance": 0.7, "samples": 2000, "epochs": 5}, [3])
    found = {(row.measure, "var*" in row.parameters): row.value for row in run(task)}
    assert found["paper", True] == found["paper", False] == found["right", False] == normal_entropy(0.7)
    # the nearest neighbors know nothing of the weights, and find what log |det A| has added
    assert found[KNN, True] - found[KNN, False] == pytest.approx(found["right", True] - found["right", False])
    assert found[ORIGINAL, False] == pytest.approx(normal_entropy(0.7), abs=0.2)
    assert all(math.isfinite(value) for value in found.values())
