from collections.abc import Callable, Sequence

import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.training.datasets import digits
from cofire.papers.zhang2018.figb2_conv_entropy import FIGB2, all_convolutional

CHANNELS = [96, 96, 192, 192, 192]
WIDTHS = 20, 100, 1000


def rows(change: Callable[[int], float], channels: Sequence[int] = CHANNELS) -> Table:
    return Table(
        {
            "activation": "relu",
            "channels": list(channels),
            "width": width,
            "measure": "entropy",
            "site": layer,
            "seed": seed,
            "epoch": epoch,
            "value": 1.0 + change(width) * epoch / 300 + seed / 1000 * (epoch > 0),
        }
        for width in WIDTHS
        for layer in ("dense1", "dense2")
        for epoch in (0, 150, 300)
        for seed in range(3)
    )


CHANGES: dict[str, tuple[Callable[[int], float], list[str]]] = {
    "up": (lambda width: 0.5, ["reproduced", "reproduced"]),
    "down": (lambda width: -0.5, ["reproduced", "reproduced"]),
    "none": (lambda width: 0.02, ["not reproduced", "reproduced"]),
    "falls": (lambda width: 40 / width, ["not reproduced", "not reproduced"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_claims_are_about_the_widest_network_and_the_slope(name: str) -> None:
    change, expected = CHANGES[name]
    assert [claim.verdict(rows(change)).word for claim in FIGB2.claims] == expected


def test_fewer_channels_refute_nothing() -> None:
    table = rows(lambda width: 40 / width, [2] * 5)
    assert [claim.verdict(table, whole=False).word for claim in FIGB2.claims] == ["not at this scale"] * 2
    assert [claim.verdict(Table([])).word for claim in FIGB2.claims] == ["not at this scale"] * 2


def test_the_network_runs_and_comes_from_its_seed() -> None:
    state = torch.get_rng_state()
    first, same, other = (all_convolutional(digits(), [2, 2, 3, 3, 3], 7, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.randn(4, 1, 8, 8)
    assert first(x).shape == (4, 10) and torch.equal(first(x), same(x)) and not torch.equal(first(x), other(x))
    assert first.get_parameter("dense1.weight").shape == (7, 3 * 2 * 2)
