"""Clusters of copies, against a loop over all pairs and against chance."""

import math

import pytest
import torch

from cofire.stats.redundancy.duplicates import duplicate_clusters, whole_matrix
from cofire.stats.weights.cosine_sums import Cosines


def clusters_of(x: torch.Tensor, **options: float):
    options = {"threshold": 0.95, "significance": 0.01, "freedom": len(x) - 2, **options}
    return duplicate_clusters(whole_matrix(torch.corrcoef(x.T)), **options)


def with_copies(n_units: int, copies: dict[int, tuple[int, float]], n_samples: int = 300) -> torch.Tensor:
    x = torch.randn(n_samples, n_units, dtype=torch.float64)
    for unit, (source, factor) in copies.items():
        x[:, unit] = factor * x[:, source] + 1
    return x


def test_copies_and_negated_copies_are_found_with_their_signs():
    found = clusters_of(with_copies(8, {3: (1, 2.0), 6: (1, -0.5), 7: (4, 1.0)}))
    assert [(one.units, one.signs) for one in found] == [((1, 3, 6), (1, 1, -1)), ((4, 7), (1, 1))]
    assert all(one.weakest == pytest.approx(1) and one.p_value < 1e-100 for one in found)


@pytest.mark.parametrize("n_units", [30, 700])  # one tile, and several
def test_every_pair_is_seen_across_tiles(n_units):
    generator = torch.Generator().manual_seed(0)
    sources = torch.randperm(n_units // 2, generator=generator)[:10].tolist()
    copies = {n_units // 2 + place: (source, -1.0) for place, source in enumerate(sources)}
    found = clusters_of(with_copies(n_units, copies))
    assert {one.units for one in found} == {(source, unit) for unit, (source, _) in copies.items()}
    assert all(one.signs == (1, -1) for one in found)


def test_members_are_alike_their_leader_and_not_chained():
    angles = torch.arange(8) * 0.25  # neighbors are alike, the ends are not
    vectors = torch.stack([angles.cos(), angles.sin()], 1).double()
    pairs = Cosines(torch.cat([vectors, torch.zeros(8, 400)], 1)).pairs
    found = duplicate_clusters(pairs, threshold=0.95, significance=0.01, freedom=401)
    for one in found:
        likeness = [float(vectors[one.units[0]] @ vectors[unit]) for unit in one.units[1:]]
        assert min(likeness) >= 0.95 and one.weakest == pytest.approx(min(likeness), abs=1e-6)
    members = [unit for one in found for unit in one.units]
    assert len(members) == len(set(members))


def test_chance_shows_copies_as_often_as_the_significance_says():
    shown = sum(bool(clusters_of(torch.randn(4, 12, dtype=torch.float64), significance=0.2)) for _ in range(200))
    assert 15 <= shown <= 50  # 40 expected at most: Bonferroni is an upper bound


def test_a_p_value_bounds_how_often_chance_does_as_well():
    x = torch.randn(6, 10, dtype=torch.float64)
    x[:, 1] = x[:, 0] + 0.02 * torch.randn(6)
    (one,) = [found for found in clusters_of(x) if found.units == (0, 1)]
    strongest = [torch.corrcoef(torch.randn(6, 10).T).fill_diagonal_(0).abs().max() for _ in range(500)]
    as_strong = sum(bool(value >= one.weakest) for value in strongest) / 500
    assert as_strong <= one.p_value + 3 * math.sqrt(max(one.p_value, 1 / 500) / 500)


@pytest.mark.parametrize("freedom", [0, -1])
def test_without_freedom_nothing_is_a_copy(freedom):
    assert clusters_of(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), freedom=freedom) == ()


def test_undefined_units_join_nothing():
    x = with_copies(4, {2: (0, 1.0)})
    x[:, 3] = 5.0
    assert [one.units for one in clusters_of(x)] == [(0, 2)]


@pytest.mark.parametrize(
    ("name", "value"), [("threshold", 0), ("threshold", 1.1), ("significance", 0), ("significance", 2)]
)
def test_parameters_out_of_range(name, value):
    with pytest.raises(ValueError, match=name):
        clusters_of(torch.randn(20, 3), **{name: value})
