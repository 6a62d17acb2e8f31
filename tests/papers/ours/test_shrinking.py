"""The experiment in small, and its claims on made-up tables."""

import json
from itertools import product

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.tasks import Task
from cofire.papers.ours.shrink_contenders import ORDERS
from cofire.papers.ours.shrink_scores import OURS, SHRINK, UNIFORM, WHOLE, best_variants, errors, run, scores


@pytest.mark.parametrize("point", SHRINK.grid["smoke"], ids=lambda point: point["network"])
def test_each_method_is_scored_at_each_share(point):
    found = list(run(Task.of("ours.shrink", 1, point, [0])))
    table = Table({**point, **one._asdict(), **json.loads(one.parameters)} for one in found)
    variants = ["as it is", "batch norms", "refit"] if point["network"] == "tiny resnet" else ["as it is", "refit"]
    for method, variant, keep in [*product(ORDERS, variants, point["shares"]), *product([OURS], ["refit"], [0.7, 0.5])]:
        at = {"method": method, "variant": variant, "keep": keep}
        assert len(table.per_seed(measure="score", **at)) == 1
        assert keep - 0.15 < table.per_seed(measure="share", **at)[0] <= keep
    whole = table.per_seed(measure="score", method=WHOLE)[0]
    assert table.per_seed(measure="score", method=OURS, keep=0.7)[0] > whole - 0.3
    assert {one.seed for one in found} == {0}


GOOD = {OURS: 0.01, UNIFORM: 0.04, "random": 0.09, "magnitude": 0.06, "group norm": 0.06, "wanda": 0.06}


def made(losses: dict[str, float], *, network: str = "net", whole: float = 0.8, factor: float = 1.2) -> Table:
    """Networks that lose these shares of the score at half, and half of them at 70 %."""
    rows = [
        {"method": method, "variant": variant, "keep": keep, "measure": "score", "value": whole - abs(whole) * loss}
        for method, at_half in losses.items()
        for variant, more in ((("refit", 1),) if method == OURS else (("as it is", 4), ("refit", 1)))
        for keep, loss in ((0.7, more * at_half / 2), (0.5, more * at_half))
    ]
    rows.append({"method": WHOLE, "variant": "", "keep": 1.0, "measure": "score", "value": whole})
    for keep, measured in ((0.7, 0.1), (0.5, 0.3)):  # at half, it is too far off to be judged
        for measure, value in (("measured", measured), ("predicted", measured * (factor if keep > 0.5 else 9))):
            rows.append({"method": OURS, "variant": "refit", "keep": keep, "measure": measure, "value": value})
    return Table(
        {**row, "network": network, "seed": seed, "value": row["value"] * (1 + 0.001 * seed)}
        for row in rows
        for seed in range(3)
    )


def words(table: Table) -> dict[str, str]:
    return {claim.name: claim.verdict(table, whole=False).word for claim in SHRINK.claims}


@pytest.mark.parametrize("whole", [0.8, -1.9])
def test_claims_hold_where_they_should(whole):
    assert set(words(made(GOOD, whole=whole)).values()) == {"reproduced"}


def test_claims_fail_where_they_should():
    bad = dict.fromkeys(GOOD, 0.05)
    assert set(words(made(bad, factor=2.0)).values()) == {"not reproduced"}
    assert set(words(Table([])).values()) == {"not at this scale"}


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        ("a third of the loss", {"wanda": 0.02}),
        ("ahead", {"wanda": 0.012}),
        ("30 % are spare", {OURS: 0.03}),
        ("allocation", {UNIFORM: 0.012}),
        ("selection", {"random": 0.041}),
    ],
)
def test_a_claim_fails_by_itself(name, losses):
    assert words(made(GOOD | losses))[name] == "not reproduced"


def test_every_network_counts():
    other = made(GOOD | {OURS: 0.2}, network="other")
    found = next(one for one in SHRINK.claims if one.name == "ahead").verdict(Table([*made(GOOD), *other]))
    assert found.word == "not reproduced" and found.passed == (1, 2) and found.note.startswith("other, ")


def test_the_prediction_is_not_judged_without_small_errors():
    rows = [{**one, "value": 0.5} if one["measure"] == "measured" else one for one in made(GOOD)]
    assert words(Table(rows))["prediction"] == "not at this scale"


def test_the_tables_have_means_and_intervals():
    table = made(GOOD)
    lines = scores(table).splitlines()
    assert lines[0] == "|  | 70% | 50% |"
    assert lines[2].startswith("| net, whole | 80.1 ± 0.2 |")
    assert lines[3].startswith("| net, cofire.shrink, refit | 79.7 ± 0.2 | 79.3 ± 0.2 |")
    assert errors(table).splitlines()[2] == "| net, 70% | 12.0 ± 0.0 | 10.0 ± 0.0 |"


def test_curves_are_of_the_best_variants():
    assert best_variants(made(GOOD)) == dict.fromkeys(GOOD, "refit")
