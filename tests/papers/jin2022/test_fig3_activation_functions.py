import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig3_activation_functions import FIG3, relative, unrest, weights_less_rho

EPOCHS = (0, 1, 10, 20)
STILL = dict.fromkeys(EPOCHS, 1.0)


def rows(*, change: dict[str, float], weights: float, course: dict[int, float] = STILL) -> Table:
    """NC before the activation function is 0.4 and changes by a share of it; all follow a course over epochs."""
    found = [
        {"activation": activation, "site": site, "measure": measure, "value": value}
        for activation, share in change.items()
        for layer in ("hidden2", "hidden3")
        for site, measure, value in (
            (layer, "nc", 0.4 * (1 + share)),
            (f"{layer}:pre", "nc", 0.4),
            (layer, "epsilon", 0.4 * share),
            (layer, "wc", weights),
        )
    ]
    return Table(
        {**one, "value": one["value"] * (course[epoch] + seed / 1000), "seed": seed, "epoch": epoch}
        for one in found
        for seed in range(3)
        for epoch in EPOCHS
    )


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {claim.name: claim.verdict(table, whole=whole).word for claim in FIG3.claims}


PAPER = rows(change={"relu": 0.2, "tanh": 0.05}, weights=0.38)
REVERSE = rows(change={"relu": 0.3, "tanh": 0.6}, weights=0.1, course={0: 0.1, 1: 1.5, 10: 1.5, 20: 1.0})


def test_as_the_paper_has_it() -> None:
    last = PAPER.where(activation="relu").last()
    assert relative(last, "hidden2")[0] == pytest.approx(0.2)
    assert weights_less_rho(last, "hidden2")[0] == pytest.approx(0.05)
    assert set(words(PAPER).values()) == {"reproduced"}


def test_otherwise() -> None:
    assert set(words(REVERSE).values()) == {"not reproduced"}


def test_a_short_run_refutes_only_what_has_come_to_rest() -> None:
    found = words(REVERSE, whole=False)
    assert found["NC is stable"] == "not at this scale"
    assert found["ε is small"] == found["ε, tanh"] == "not reproduced"  # shares do not follow the course
    assert set(words(PAPER, whole=False).values()) == {"reproduced"}


def test_the_layer_that_is_furthest_is_shown() -> None:
    table = rows(change={"relu": 0.3, "tanh": 0.05}, weights=0.38)
    found = FIG3.claims[0].verdict(table)
    assert found.word == "not reproduced" and found.passed == (1, 2) and found.note.startswith("relu, hidden")


def test_unrest_counts_from_a_tenth_of_training_on() -> None:
    assert unrest({0: {7: 0.9}, 1: {7: 0.5}, 10: {7: 0.25}}) == {7: 0.25}
    assert unrest({0: {7: 0.9}, 1: {7: 0.5}, 20: {7: 0.25}}) == {7: 0.0}


def test_what_was_not_run_is_not_judged() -> None:
    assert set(words(PAPER.where(site=["hidden2", "hidden2:pre"])).values()) == {"not at this scale"}
    assert set(words(Table([])).values()) == {"not at this scale"}
