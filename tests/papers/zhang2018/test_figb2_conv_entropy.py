import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.training.datasets import digits
from cofire.papers.zhang2018.figb2_conv_entropy import FIGB2, all_convolutional


def rows(delta: float) -> Table:
    return Table(
        {
            "activation": "relu",
            "width": width,
            "measure": "entropy",
            "site": layer,
            "seed": seed,
            "epoch": epoch,
            "value": 1.0 + delta * (epoch > 0) * (width > 10) + seed / 1000 * (epoch > 0),
        }
        for width in (10, 1000)
        for layer in ("dense1", "dense2")
        for epoch in (0, 10)
        for seed in range(3)
    )


@pytest.mark.parametrize(("delta", "outcome"), [(0.5, "reproduced"), (-0.5, "reproduced"), (0.0, "not reproduced")])
def test_the_claim_is_about_the_widest_network(delta: float, outcome: str) -> None:
    assert FIGB2.claims[0].verdict(rows(delta)).outcome == outcome
    assert FIGB2.claims[0].verdict(Table([])).outcome == "inconclusive"


def test_the_network_runs_and_comes_from_its_seed() -> None:
    state = torch.get_rng_state()
    first, same, other = (all_convolutional(digits(), [2, 2, 3, 3, 3], 7, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.randn(4, 1, 8, 8)
    assert first(x).shape == (4, 10) and torch.equal(first(x), same(x)) and not torch.equal(first(x), other(x))
    assert first.get_parameter("dense1.weight").shape == (7, 3 * 2 * 2)
