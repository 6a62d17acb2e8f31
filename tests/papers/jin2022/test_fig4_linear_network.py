import math

import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig4_linear_network import FIG4, LAYERS, METHODS, in_both_spaces, offsets, range_over_layers


def rows(*, log_det: float, original: float, projected: float, nc: float, nc_projected: float) -> Table:
    """Entropies that fall by some amount from layer to layer, in each space."""
    falls = {name: original if not name.startswith("projected") else projected for name in METHODS}
    return Table(
        {"site": layer, "measure": measure, "value": value * (1 + seed / 1000), "seed": seed, "epoch": epoch}
        for number, layer in enumerate(LAYERS)
        for measure, value in [
            *((name, 10 - number * fall) for name, fall in falls.items()),
            ("nc", nc),
            ("nc_projected", nc_projected),
            *([("log_det", log_det)] if number else []),
        ]
        for seed in range(3)
        for epoch in (0, 3)
    )


def verdicts(table: Table) -> dict[str, str]:
    return {claim.name: claim.verdict(table).outcome for claim in FIG4.claims}


def test_as_the_paper_has_it() -> None:
    found = verdicts(rows(log_det=0.0, original=2.0, projected=0.1, nc=0.3, nc_projected=0.001))
    assert set(found.values()) == {"reproduced"}


def test_what_falls_by_the_determinant_is_right_by_the_other_truth_alone() -> None:
    table = rows(log_det=-2.0, original=2.0, projected=3.0, nc=0.01, nc_projected=0.2)
    truth = offsets(table.last())
    assert truth[LAYERS[-1]][0] == pytest.approx(-8)
    assert range_over_layers(table.last(), METHODS[0])[0] == pytest.approx(8)
    assert range_over_layers(table.last(), METHODS[0], truth)[0] == pytest.approx(0, abs=1e-9)
    assert set(verdicts(table).values()) == {"not reproduced"}


def test_no_rows_decide_nothing() -> None:
    assert set(verdicts(Table([])).values()) == {"inconclusive"}


def test_both_spaces_of_independent_normal_units() -> None:
    x = torch.randn(800, 3, generator=torch.Generator().manual_seed(0))
    found = in_both_spaces(x, (x[:, 0] > 0).long())
    truth = 1.5 * math.log(2 * math.pi * math.e)
    assert found["independence bound"] == pytest.approx(truth, abs=0.2)
    assert found["kNN"] == pytest.approx(truth, abs=0.2)
    assert found["normal"] == pytest.approx(truth, abs=0.15)
    assert found["nc"] < 0.1 and found["nc_projected"] < 0.01
    assert found["binned"] <= math.log(500) + 1e-9
