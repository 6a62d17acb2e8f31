"""The pruning table in small, on the bundled digits."""

import pytest
import torch

from cofire.papers.data import digits
from cofire.papers.pruning import CRITERIA, Pruned, pruned, small_cnn, table
from cofire.papers.zoo import mlp


def test_each_network_is_pruned_by_each_criterion_to_each_share():
    found = list(
        pruned(digits(), {"mlp": lambda seed: mlp((64, 32, 10), seed=seed)}, seeds=[0, 1], shares=[0.5, 0.1], epochs=15)
    )
    assert len(found) == 2 * len(CRITERIA) * 3
    at = {(one.by, one.keep, one.seed): one.accuracy for one in found}
    assert {at[by, 1.0, 0] for by in CRITERIA} == {at["redundancy", 1.0, 0]}  # the network as it was
    assert at["redundancy", 1.0, 0] > 0.5
    assert all(at["redundancy", 0.5, seed] > at["magnitude", 0.5, seed] for seed in (0, 1))


def test_the_table_has_means_and_intervals_over_seeds():
    text = table([Pruned("net", seed, "redundancy", 0.5, 0.9 + 0.01 * seed) for seed in range(3)])
    assert text.splitlines()[-1] == "| net, 50% kept | 91.0 ± 2.5 |"  # 4.303 / √3 times a deviation of 1


def test_the_cnn_is_that_of_its_seed():
    state = torch.get_rng_state()
    one, same, other = (small_cnn(seed)[0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("by", sorted(CRITERIA))
def test_the_cnn_can_be_cut_everywhere_but_at_its_outputs(by):
    from cofire.nets.surgery import prune

    smaller = prune(small_cnn(0), torch.rand(30, 1, 28, 28), keep=0.25, by=by)
    assert set(smaller.cuts) == {"0", "3", "7"}
    assert set(smaller.left) == {"9"}
