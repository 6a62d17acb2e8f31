import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig7_generalization_gap import DENSE, FIG7, NETWORKS, READ_OFF, gap
from cofire.papers.jin2022.jin_networks import penultimate

PAPER = {**READ_OFF, "N6": 0.1, "N7": 0.15}


def rows(nc: dict[str, float], gaps: dict[str, float]) -> Table:
    """NC and, a tenth of it, WC; scores of which training and test differ by the gap."""
    numbers = [
        (name, recipe, activation, site, measure, value)
        for name in NETWORKS
        for recipe in ("all", "few")
        for activation in ("relu", "tanh")
        for site, measure, value in [
            (penultimate(name), "nc", nc[name]),
            *((penultimate(name), measure, nc[name] / 10) for measure in ("wc", "wc_median")),
            *((penultimate(name), f"wc_{side}_quartile", nc[name] / 10) for side in ("lower", "upper")),
            ("", "accuracy", 0.99),
            ("", "test_accuracy", 0.99 - gaps[name]),
            ("", "loss", 0.1),
            ("", "test_loss", 0.1 + gaps[name]),
        ]
    ]
    names = "network", "recipe", "activation", "site", "measure", "value"
    return Table(
        {**dict(zip(names, one, strict=True)), "value": one[-1] + seed / 10_000, "seed": seed, "epoch": epoch}
        for one in numbers
        for seed in range(3)
        for epoch in (0, 9)
    )


def verdicts(table: Table) -> dict[str, str]:
    return {claim.name: claim.verdict(table).outcome for claim in FIG7.claims}


def test_as_the_paper_has_it() -> None:
    assert set(verdicts(rows(PAPER, PAPER)).values()) == {"reproduced"}


def test_the_other_way_round() -> None:
    reverse = dict(zip(NETWORKS, (0.6, 0.5, 0.28, 0.95, 0.7), strict=True))
    assert set(verdicts(rows(reverse, reverse)).values()) == {"not reproduced"}


def test_a_network_that_is_missing_decides_nothing_about_it() -> None:
    found = verdicts(rows(PAPER, PAPER).where(network=lambda name: name != "N4"))
    assert found["NC, ReLU"] == "inconclusive" and found["NC, convolutional"] == "reproduced"
    assert set(verdicts(Table([])).values()) == {"inconclusive"}


def test_networks_of_more_seeds_are_compared_at_the_seeds_that_all_have() -> None:
    table = rows(PAPER, PAPER)
    more = [{**row, "seed": 3 + row["seed"], "value": 9.0} for row in table if row["network"] in DENSE]
    claims = {claim.name: claim for claim in FIG7.claims}
    for name in ("convolutions, NC", "convolutions, WC", "convolutions, gap"):
        assert claims[name].verdict(Table([*table, *more])) == claims[name].verdict(table)
    assert claims["NC, ReLU"].verdict(Table([*table, *more])).n_seeds == 6
    counts = {task["network"]: len(task.seeds) for task in FIG7.tasks("quick")}
    assert counts == {"N3": 10, "N4": 10, "N5": 10, "N6": 3, "N7": 3}


def test_the_gap_is_positive_where_the_test_is_worse() -> None:
    part = rows(PAPER, PAPER).where(network="N3", recipe="all", activation="relu").last()
    assert gap(part)[0] == pytest.approx(READ_OFF["N3"]) and gap(part, "loss")[0] == pytest.approx(READ_OFF["N3"])


def test_the_figure_draws_every_network() -> None:
    drawn = FIG7.figures["fig7"](rows(PAPER, PAPER))
    assert [axis.get_title() for axis in drawn.axes[:5]] == list(NETWORKS)
