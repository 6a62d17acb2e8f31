import numpy as np
import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.peganov2021.correlation_course import QUANTITY
from cofire.papers.peganov2021.early_stopping import DECORRELATION, PATIENCE, STOPPING, decorrelating_from, patient
from cofire.record import Row

RISE_AND_FALL = np.concatenate([np.linspace(0.1, 0.4, 15), np.linspace(0.4, 0.2, 26)[1:]])


def rows(site: str, course: np.ndarray) -> list[Row]:
    noise = np.random.default_rng(0).normal(0, 0.003, len(course))
    return [Row("", step, 0, site, QUANTITY, "{}", float(value), 100, 0) for step, value in enumerate(course + noise)]


def test_the_watch_stops_once_all_layers_fall() -> None:
    falling = rows("hidden1", RISE_AND_FALL)
    assert 15 < decorrelating_from(falling, 99) < 30
    assert decorrelating_from([*falling, *rows("hidden2", np.linspace(0.1, 0.5, 40))], 99) == 99


def test_patience_keeps_the_best_and_ends_later() -> None:
    assert patient({0: 2.0, 1: 1.0, 2: 0.5, 3: 0.6, 4: 0.7, 5: 0.8, 6: 0.1}, patience=3) == (2, 5)
    assert patient({0: 3.0, 1: 2.0, 2: 1.0}, patience=3) == (2, 2)
    assert patient({0: 1.0, 1: 2.0, 2: 3.0}, patience=2) == (0, 2)


def results(gain: float, fewer: float) -> Table:
    return Table(
        {
            "data": name,
            "seed": seed,
            "measure": measure,
            "rule": rule,
            "value": value + 1e-4 * seed * (rule == PATIENCE),
        }
        for name in ("mnist", "cifar10")
        for seed in range(3)
        for rule, accuracy, epochs in ((DECORRELATION, 0.9 + gain, 20 - fewer), (PATIENCE, 0.9, 20))
        for measure, value in (("accuracy_kept", accuracy), ("epochs_trained", epochs))
    )


@pytest.mark.parametrize(
    ("gain", "fewer", "expected"),
    [
        (0.0, 5, ["reproduced", "reproduced"]),
        (-0.1, 5, ["not reproduced", "reproduced"]),
        (0.01, -5, ["reproduced", "not reproduced"]),
        (-0.008, 0.5, ["not reproduced", "not reproduced"]),
    ],
)
def test_claims_compare_the_rules(gain: float, fewer: float, expected: list[str]) -> None:
    assert [claim.verdict(results(gain, fewer)).word for claim in STOPPING.claims] == expected


def test_both_data_sets_count() -> None:
    mixed = [*results(0.0, 5).where(data="mnist"), *results(-0.1, -5).where(data="cifar10")]
    for claim in STOPPING.claims:
        found = claim.verdict(Table(mixed))
        assert found.word == "not reproduced" and found.passed == (1, 2) and found.note.startswith("cifar10")


def test_no_rows_decide_nothing() -> None:
    assert {claim.verdict(Table([])).word for claim in STOPPING.claims} == {"not at this scale"}
