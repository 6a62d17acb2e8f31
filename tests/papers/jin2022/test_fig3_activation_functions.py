import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig3_activation_functions import FIG3, relative


def rows(*, change: dict[str, float], weights: float) -> Table:
    """NC before the activation function is 0.4, and changes by a share of it."""
    numbers = {
        (activation, layer): {"nc": 0.4 * (1 + share), "epsilon": 0.4 * share, "wc": weights}
        for activation, share in change.items()
        for layer in ("hidden2", "hidden3")
    }
    found = [
        {"activation": activation, "site": layer, "measure": measure, "value": value}
        for (activation, layer), values in numbers.items()
        for measure, value in values.items()
    ]
    before = [{**one, "site": f"{one['site']}:pre", "value": 0.4} for one in found if one["measure"] == "nc"]
    return Table(
        {**one, "value": one["value"] * (1 + seed / 1000), "seed": seed, "epoch": epoch}
        for one in found + before
        for seed in range(3)
        for epoch in (0, 5)
    )


def verdicts(table: Table) -> list[str]:
    return [claim.verdict(table).outcome for claim in FIG3.claims]


def test_as_the_paper_has_it() -> None:
    table = rows(change={"relu": 0.2, "tanh": 0.05}, weights=0.38)
    assert relative(table, "relu", "hidden2")[0] == pytest.approx(0.2)
    assert verdicts(table) == ["reproduced"] * 3


def test_otherwise() -> None:
    table = rows(change={"relu": 0.3, "tanh": 0.6}, weights=0.1)
    assert verdicts(table) == ["not reproduced"] * 3


def test_a_layer_that_is_missing_decides_nothing() -> None:
    table = rows(change={"relu": 0.2, "tanh": 0.05}, weights=0.38)
    assert verdicts(table.where(site=["hidden2", "hidden2:pre"])) == ["inconclusive"] * 3
    assert verdicts(Table([])) == ["inconclusive"] * 3
