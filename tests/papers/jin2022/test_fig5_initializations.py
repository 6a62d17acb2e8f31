import math

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig5_initializations import FIG5, expected, slopes


def rows(law, **more) -> Table:
    """Rows as though weight correlation followed a law of the two counts, with a little scatter over seeds."""
    return Table(
        {
            "init": "Xavier",
            "measure": measure,
            "varied": varied,
            "seed": seed,
            "value": law(counts["n_inputs"], counts["n_units"]) * (1 + seed / 1000),
            **counts,
        }
        for measure in ("wc", "wc_signed")
        for varied in ("n_inputs", "n_units")
        for count in (10, 100, 1000)
        for counts in [{"n_inputs": 100, "n_units": 100, varied: count}]
        for seed in range(3)
    )


def verdicts(table: Table) -> dict[str, str]:
    return {claim.name: claim.verdict(table).outcome for claim in FIG5.claims}


def test_the_law_of_independent_weights_falls_with_m_and_is_flat_in_n() -> None:
    found = verdicts(rows(lambda m, n: math.sqrt(2 / (math.pi * m))))
    assert found["falls with m"] == "reproduced" and found["grows with n"] == "not reproduced"
    assert found["expected value"] == "reproduced"


def test_the_papers_figure_would_pass() -> None:
    table = rows(lambda m, n: math.sqrt(n / m) / 10)
    assert slopes(table, "n_units")["Xavier"][0] == pytest.approx(0.5)
    found = verdicts(table)
    assert {found[f"grows with n{kind}"] for kind in ("", ", signed")} == {"reproduced"}
    assert {found[f"falls with m{kind}"] for kind in ("", ", signed")} == {"reproduced"}
    assert not expected(table).reproduced


def test_no_rows_decide_nothing() -> None:
    assert set(verdicts(Table([])).values()) == {"inconclusive"}
