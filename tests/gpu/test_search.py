"""The kernel that searches neighbors against a table of all distances, digit for digit."""

import pytest
import torch
from torch import Tensor

from cofire.stats import dependence_score
from cofire.stats.information.engine.triton_launch import MOST_NEIGHBORS, fits, search


def by_hand(x: Tensor, y: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    of_x, of_y = ((unit[:, None] - unit).abs() for unit in (x, y))
    radius = torch.maximum(of_x, of_y).fill_diagonal_(torch.inf).kthvalue(k, dim=1).values
    return radius, (of_x < radius[:, None]).sum(1), (of_y < radius[:, None]).sum(1)


@pytest.mark.parametrize("k", range(1, MOST_NEIGHBORS + 1))
@pytest.mark.parametrize("rounded", [False, True])
def test_distances_and_counts_are_those_of_a_table(k: int, rounded: bool) -> None:
    x, y = torch.randn(2, 5, 700, generator=torch.Generator().manual_seed(k)).cuda()
    if rounded:
        x, y = x.round(decimals=1), y.round(decimals=1)
    number = torch.tensor([700, 256, 257, 100, 9], device="cuda")
    assert fits(x, k), "torch for CUDA comes with triton"
    found = search(x, y, number, k)
    for pair, n in enumerate(number.tolist()):
        expected = by_hand(x[pair, :n], y[pair, :n], k)
        for ours, theirs in zip(found, expected, strict=True):
            assert torch.equal(ours[pair, :n].to(theirs.dtype), theirs)


@pytest.mark.parametrize("method", ["3h", "ksg", "default"])
@pytest.mark.parametrize("k", [3, MOST_NEIGHBORS, MOST_NEIGHBORS + 1])
def test_tiles_take_over_beyond_it(k: int, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(500, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cuda()
    x[:, 1] += x[:, 0]
    found = dependence_score(x, k, method).matrix
    monkeypatch.setattr("cofire.stats.information.engine.torch_pairs.fits", lambda x, k: False)
    torch.testing.assert_close(dependence_score(x, k, method).matrix, found, rtol=0, atol=1e-6, equal_nan=True)
