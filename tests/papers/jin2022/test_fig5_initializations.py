import math
from collections.abc import Callable

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig5_initializations import FIG5, association, changes, expected, slopes

Law = Callable[[float, float], float]


def rows(law: Law, signed: Law | None = None) -> Table:
    """Rows as though weight correlation followed a law of the two counts, with a little scatter over seeds."""
    laws = {"wc": law, "wc_signed": signed or law}
    return Table(
        {
            "init": "Xavier",
            "measure": measure,
            "varied": varied,
            "seed": seed,
            "value": laws[measure](counts["n_inputs"], counts["n_units"]) * (1 + seed / 1000),
            **counts,
        }
        for measure in laws
        for varied in ("n_inputs", "n_units")
        for count in (10, 100, 1000)
        for counts in [{"n_inputs": 100, "n_units": 100, varied: count}]
        for seed in range(3)
    )


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {claim.name: claim.verdict(table, whole=whole).word for claim in FIG5.claims}


def independent(m: float, n: float) -> float:
    return math.sqrt(2 / (math.pi * m))


def test_the_law_of_independent_weights_falls_with_m_and_is_flat_in_n() -> None:
    for whole in (True, False):  # nothing is trained, so nothing is too small
        assert words(rows(independent, lambda m, n: 1e-4), whole=whole) == {
            "falls with m": "reproduced",
            "grows with n": "not reproduced",
            "falls with m, signed": "not reproduced",
            "grows with n, signed": "not reproduced",
            "Γ against WC": "reproduced",
            "expected value": "reproduced",
        }


def test_the_papers_figure_would_pass() -> None:
    table = rows(lambda m, n: math.sqrt(n / m) / 10)
    assert slopes(table, "n_units")["Xavier"][0] == pytest.approx(0.5)
    assert changes(table, "n_units")["Xavier"][0] == pytest.approx(math.sqrt(10) / 10 - math.sqrt(0.1) / 10)
    assert association(table)["Xavier"].number.effect == pytest.approx(-1)
    assert expected(table)["Xavier"].number.effect == pytest.approx(math.sqrt(math.pi / 2), rel=2e-3)
    found = words(table)
    assert found.pop("expected value") == "not reproduced"
    assert set(found.values()) == {"reproduced"}


def test_the_reverse_of_the_papers_figure_fails() -> None:
    assert set(words(rows(lambda m, n: math.sqrt(m / n) / 10)).values()) == {"not reproduced"}


def test_one_initialization_that_does_not_follow_is_enough() -> None:
    flat = [{**row, "init": "uniform"} for row in rows(lambda m, n: 0.08)]
    claim = FIG5.claims[0]
    found = claim.verdict(Table([*rows(independent), *flat]))
    assert found.word == "not reproduced" and found.passed == (1, 2) and found.note.startswith("uniform: slope")


def test_no_rows_decide_nothing() -> None:
    assert set(words(Table([])).values()) == {"not at this scale"}
