"""Pruning in small, on the bundled digits, and its claims on made-up tables."""

import json

import pytest
import torch

from cofire.nets.surgery import prune
from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.tasks import Task
from cofire.papers.ours.pruning_accuracy import CRITERIA, PRUNING, accuracies, run, small_cnn


def test_each_network_is_pruned_by_each_criterion_to_each_share():
    settings = {"data": "digits", "network": "64-32-10", "n_train": 1200, "epochs": 15, "shares": [0.5, 0.1]}
    found = list(run(Task.of("ours.pruning", 1, settings, [0, 1])))
    assert len(found) == 2 * len(CRITERIA) * 3
    table = Table({**settings, **one._asdict(), **json.loads(one.parameters)} for one in found)
    at = {(one["by"], one["keep"], one["seed"]): one["value"] for one in table}
    assert {at[by, 1.0, 0] for by in CRITERIA} == {at["redundancy", 1.0, 0]}  # the network as it was
    assert at["redundancy", 1.0, 0] > 0.5
    assert all(at["redundancy", 0.5, seed] > at["magnitude", 0.5, seed] for seed in (0, 1))


def made(**accuracy_at_half: float) -> Table:
    """Networks that lose accuracy as they are pruned: by each criterion to this at half and a quarter."""
    return Table(
        {"measure": "accuracy", "network": "net", "by": by, "keep": keep, "seed": seed, "value": value + 0.001 * seed}
        for by, half in accuracy_at_half.items()
        for keep, value in ((1.0, 0.97), (0.5, half), (0.25, half - 0.1))
        for seed in range(3)
    )


def words(table: Table, *, whole: bool = True) -> list[str]:
    return [claim.verdict(table, whole=whole).word for claim in PRUNING.claims]


def test_claims_can_pass_and_fail_at_any_scale():
    good = made(redundancy=0.965, magnitude=0.8, magnitude_refit=0.9)
    bad = made(redundancy=0.7, magnitude=0.8, magnitude_refit=0.9)
    for whole in (True, False):  # a question of our own has no scale to fall short of
        assert words(good, whole=whole) == ["reproduced"] * 3
        assert words(bad, whole=whole) == ["not reproduced"] * 3
    assert words(Table([])) == ["not at this scale"] * 3


def test_a_lead_of_no_account_is_none():
    assert words(made(redundancy=0.965, magnitude=0.962, magnitude_refit=0.962))[1:] == ["not reproduced"] * 2


def test_every_network_counts():
    good = made(redundancy=0.965, magnitude=0.8, magnitude_refit=0.9)
    other = [{**row, "network": "other"} for row in made(redundancy=0.7, magnitude=0.8, magnitude_refit=0.9)]
    found = PRUNING.claims[0].verdict(Table([*good, *other]))
    assert found.word == "not reproduced" and found.passed == (1, 2) and found.note.startswith("other: accuracy")


def test_the_table_has_means_and_intervals_over_seeds():
    lines = accuracies(made(redundancy=0.9, magnitude=0.8, magnitude_refit=0.85)).splitlines()
    assert lines[0] == "|  | redundancy | magnitude | magnitude_refit |"
    assert lines[3].startswith("| net, 50% kept | 90.1 ± 0.2 | 80.1 ± 0.2 |")  # 4.303 / √3 times a deviation of 0.1


def test_the_cnn_is_that_of_its_seed():
    state = torch.get_rng_state()
    one, same, other = (small_cnn(seed)[0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("by", sorted(CRITERIA))
def test_the_cnn_can_be_cut_everywhere_but_at_its_outputs(by):
    smaller = prune(small_cnn(0), torch.rand(30, 1, 28, 28), keep=0.25, by=by)
    assert set(smaller.cuts) == {"0", "3", "7"}
    assert set(smaller.left) == {"9"}
