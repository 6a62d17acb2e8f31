import math

import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.zhang2018.figa1_estimators import FIGA1, TRUE_ENTROPY, correlated, true_information
from cofire.stats.truth import MultivariateNormal


def rows(*, bias: float = 0.0, plain: float = -3.2, stabilized: float = 0.02, mean: float = 0.012, sd: float = 0.042):
    scatter = [{"seed": seed, "value": seed / 10_000} for seed in range(4)]
    tables: list[dict[str, object]] = []
    for one in scatter:
        for k in (1, 2, 5, 9):
            tables.append({**one, "panel": "a", "k": k, "value": TRUE_ENTROPY + bias * (k > 1) + one["value"]})
        for rho in (0.0, 0.9):
            true = true_information(rho)
            tables.append({**one, "panel": "c", "estimator": "plain", "rho": rho, "value": plain + one["value"]})
            near = true + stabilized + one["value"]
            tables.append({**one, "panel": "c", "estimator": "stabilized", "rho": rho, "value": near})
        tables.append({**one, "measure": "independent_mean", "value": mean + one["value"]})
        tables.append({**one, "measure": "independent_sd", "value": sd + one["value"]})
    return Table(tables)


def verdicts(table: Table) -> dict[str, str]:
    return {claim.name: claim.verdict(table).word for claim in FIGA1.claims}


def test_the_papers_numbers_pass() -> None:
    assert set(verdicts(rows()).values()) == {"reproduced"}


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"bias": 0.05}, "tolerable bias"),
        ({"plain": 0.5}, "plain estimate is too low"),
        ({"stabilized": 1.0}, "stabilization helps"),
        ({"mean": 0.002}, "independent pairs, mean"),
        ({"sd": 0.02}, "independent pairs, spread"),
    ],
)
def test_other_numbers_fail_the_claim_that_they_are_about(change: dict[str, float], claim: str) -> None:
    found = verdicts(rows(**change))
    assert found[claim] == "not reproduced" and list(found.values()).count("not reproduced") == 1


def test_pairs_have_the_correlation_and_the_information_that_they_should() -> None:
    x, y = correlated(torch.randn(100_000, 2, dtype=torch.float64), 0.6)
    assert float(torch.corrcoef(torch.stack([x, y]))[0, 1]) == pytest.approx(0.6, abs=0.01)
    normal = MultivariateNormal.pair(rho=0.6)
    assert true_information(0.6) == pytest.approx(float(normal.mutual_information))
    assert pytest.approx(float(MultivariateNormal(torch.eye(1)).entropy)) == TRUE_ENTROPY
    assert math.isclose(true_information(0.0), 0.0)
