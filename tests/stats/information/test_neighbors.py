import numpy as np
import pytest
import torch
from naive_information import kth_distance
from scipy.spatial import cKDTree

from cofire.stats._base.distances import kth_by_products
from cofire.stats.information.engine.kd_tree import WIDTH, build, empty_tree
from cofire.stats.information.neighbors import (
    _by_tiles,
    _by_tree,
    _farthest_unit,
    count_nearer,
    kth_euclidean_distance,
    kth_neighbor_distance,
)

KINDS = ["normal", "rounded", "coarse", "scales", "heavy", "far away", "one point", "ascending"]


def samples(n, d, kind, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return {
        "normal": x,
        "rounded": np.round(x, 1),
        "scales": x * 10.0 ** rng.integers(-3, 3, size=d),
        "coarse": np.round(x),
        "one point": np.full((n, d), 0.1),
        "ascending": np.repeat(np.arange(n)[:, None] / 7, d, axis=1),
        "heavy": rng.standard_cauchy(size=(n, d)),
        "far away": x + 1e6,
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 20, 64])
def test_equals_the_tree_of_scipy(kind, d):
    for n, k in ((2, 1), (4, 3), (17, 1), (40, 3), (700, 3)):
        x = samples(n, d, kind)
        expected = cKDTree(x).query(x, k=k + 1, p=np.inf)[0][:, k]
        np.testing.assert_array_equal(kth_neighbor_distance(x, k), expected)
        np.testing.assert_array_equal(_by_tiles(torch.from_numpy(x), k), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 20, 64])
def test_euclidean_distances_equal_those_of_the_tree_of_scipy(kind, d):
    for n, k in ((2, 1), (4, 3), (17, 1), (40, 3), (700, 3)):
        x = samples(n, d, kind)
        points, expected = torch.from_numpy(x), cKDTree(x).query(x, k=k + 1)[0][:, k]
        np.testing.assert_allclose(kth_euclidean_distance(points, k), expected, rtol=1e-12)
        np.testing.assert_allclose(_by_tree(points, k, euclidean=True), expected, rtol=1e-12)


@pytest.mark.parametrize("d", [1, 3, 30])
def test_euclidean_distances_by_products(d):
    x = torch.from_numpy(samples(300, d, "normal"))
    np.testing.assert_allclose(kth_by_products(x, 3), _by_tree(x, 3, euclidean=True), rtol=1e-12)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_change_nothing(n_threads, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: n_threads)
    x = samples(1500, 4, "normal")
    np.testing.assert_array_equal(kth_neighbor_distance(x, 3), cKDTree(x).query(x, k=4, p=np.inf)[0][:, 3])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 8, 9, 100, 1025])
def test_every_box_holds_its_points(kind, n):
    x = samples(n, 3, kind)
    tree = empty_tree(n, 3)
    build(tree, np.ascontiguousarray(x.T))
    assert sorted(tree.order) == list(range(n))
    low, high = tree.low.reshape(-1, 3), tree.high.reshape(-1, 3)
    for node, (begin, after) in enumerate(zip(tree.begin, tree.after, strict=True)):
        n_blocks = (after - node + 1) // 2
        inside = x[tree.order[begin * WIDTH : (begin + n_blocks) * WIDTH]]
        np.testing.assert_array_equal((low[node], high[node]), (inside.min(axis=0), inside.max(axis=0)))


@pytest.mark.parametrize("d", [1, 2, 4])
def test_equals_the_loop(d):
    x = samples(60, d, "rounded")
    np.testing.assert_array_equal(kth_neighbor_distance(x, 3), kth_distance(x, 3))


@pytest.mark.parametrize("k", [50, 400, 1000])
@pytest.mark.parametrize("d", [1, 3])
def test_any_number_of_neighbors(d, k):
    x = samples(1100, d, "rounded")
    np.testing.assert_array_equal(kth_neighbor_distance(x, k), kth_distance(x, k))
    far = np.sort(np.linalg.norm(x[:, None] - x, axis=2), axis=1)[:, k]
    np.testing.assert_allclose(kth_euclidean_distance(torch.from_numpy(x), k), far, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.uint8])
def test_takes_any_real_type_and_leaves_it_alone(dtype):
    x = torch.randn(50, 2).mul(20).abs().to(dtype)
    before = x.clone()
    distances = kth_neighbor_distance(x, 3)
    assert distances.dtype == torch.float64
    np.testing.assert_array_equal(distances, kth_distance(x.double().numpy(), 3))
    assert torch.equal(x, before)


def test_more_samples_than_a_tile_holds(monkeypatch):
    monkeypatch.setattr("cofire.stats._base.distances.TILE_ELEMENTS", 100)
    x = samples(70, 2, "normal")
    np.testing.assert_array_equal(_by_tiles(torch.from_numpy(x), 3), kth_distance(x, 3))


@pytest.mark.parametrize("d", [1, 4])
def test_distances_are_those_of_the_farthest_unit(d):
    a, b = torch.from_numpy(samples(7, d, "normal")), torch.from_numpy(samples(11, d, "normal", seed=1))
    assert torch.equal(_farthest_unit(a, b), (a[:, None] - b).abs().amax(2))


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kind", ["normal", "rounded", "heavy", "far away"])
def test_counts_equal_a_loop(kind, d):
    x = samples(200, d, kind)
    radius = kth_distance(samples(200, 2, kind, seed=1), 3)
    gaps = np.abs(x[:, None] - x).max(axis=2)
    counts = count_nearer(torch.from_numpy(x), torch.from_numpy(radius))
    np.testing.assert_array_equal(counts, (gaps < radius[:, None]).sum(1))


def test_the_neighbor_that_sets_the_radius_is_not_counted():
    # sums round: 0.1 + 0.2 > 0.3, so a search for x ± radius counts a neighbor too many
    x = torch.tensor([0.1, 0.3, 0.9], dtype=torch.float64)
    assert count_nearer(x[:, None], kth_neighbor_distance(x, 1)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        (torch.randn(3), 3, "less than the number of samples"),
        (torch.randn(3), 0, "at least 1"),
        (torch.tensor([0.0, 1.0, torch.nan]), 1, "NaN or infinite"),
        (torch.tensor([0.0, 1.0, torch.inf]), 1, "NaN or infinite"),
        (torch.randn(3, 2, 2), 1, "must have shape"),
        (torch.randn(3, 0), 1, "must have shape"),
    ],
)
def test_refuses(x, k, message):
    with pytest.raises(ValueError, match=message):
        kth_neighbor_distance(x, k)
