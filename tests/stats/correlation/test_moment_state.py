"""The state of moments is plain data: merging, tensors and copies need nothing else."""

import pickle
from copy import deepcopy

import pytest
import torch

from cofire.stats import Moments
from cofire.stats.correlation.moment_state import empty_state, mean, merged, scaled_variance, standardized_rows
from cofire.stats.correlation.packed_symmetric import PackedSymmetric
from cofire.stats.correlation.state_tensors import empty_tensors, from_tensors, to_tensors


def samples(n: int = 90, d: int = 300) -> torch.Tensor:
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    return x * 3 + torch.arange(d)


def same(moments: Moments, x: torch.Tensor) -> bool:
    torch.testing.assert_close(moments.covariance(), x.T.cov())
    torch.testing.assert_close(moments.mean(), x.mean(0))
    return moments.count == len(x)


def test_states_merge_without_moments():
    x = samples()
    parts = [Moments().update(part).state() for part in x.split([30, 60])]
    assert same(Moments.from_state(merged(*parts)), x)
    assert [part.count for part in parts] == [30, 60]


def test_moments_continue_from_a_state():
    x = samples()
    first = Moments().update(x[:40])
    assert same(Moments.from_state(deepcopy(first.state())).update(x[40:]), x)
    assert same(first, x[:40])
    assert same(Moments.from_state(first.state()).update(x[40:]), x) and first.count == 90  # without a copy, shared


def test_rows_in_the_buffer_are_part_of_the_state():
    x = samples(n=10)
    m = Moments().update(x)
    state = m.state()
    torch.testing.assert_close(mean(state), x.mean(0))
    torch.testing.assert_close(scaled_variance(state) * state.scale**2, x.var(0))
    rows = standardized_rows(state)
    torch.testing.assert_close(rows.mean(0), torch.zeros(300, dtype=torch.float64))
    torch.testing.assert_close(rows.var(0), torch.ones(300, dtype=torch.float64))


@pytest.mark.parametrize("n", [10, 90, 700])
def test_tensors_hold_the_whole_state(n):
    x = samples(n)
    m = Moments().update(x)
    tensors = to_tensors(m.state())
    assert {name: one.shape for name, one in tensors.items()} == {
        name: one.shape for name, one in empty_tensors(300).items()
    }
    again = Moments.from_state(from_tensors(tensors))
    assert same(again, x) and again.summary() == m.summary()
    assert same(again.update(x), torch.cat([x, x]))


def test_tensors_of_nothing_begin_anew():
    x = samples()
    assert same(Moments.from_state(from_tensors(empty_tensors(300))).update(x), x)


def test_tensors_of_inference_mode_are_copied():
    x = samples()
    with torch.inference_mode():
        tensors = {name: one.clone() for name, one in to_tensors(Moments().update(x).state()).items()}
    assert same(Moments.from_state(from_tensors(tensors)).update(x), torch.cat([x, x]))


def test_tiles_of_another_width_are_read_as_they_are():
    matrix = torch.arange(36.0, dtype=torch.float64).view(6, 6)
    matrix = matrix + matrix.T
    tiles = torch.stack([matrix[:4, :4], torch.zeros(4, 4), torch.zeros(4, 4)])
    tiles[1, :, :2], tiles[2, :2, :2] = matrix[:4, 4:], matrix[4:, 4:]
    packed = PackedSymmetric(6, torch.device("cpu"), tiles)
    assert torch.equal(packed.assembled(lambda entries, *_: entries), matrix)


def test_a_state_is_pickled_as_it_is():
    x = samples()
    assert same(Moments.from_state(pickle.loads(pickle.dumps(Moments().update(x).state()))), x)


def test_an_empty_state_has_no_numbers():
    state = empty_state(torch.zeros(3, dtype=torch.float64))
    assert state.count == 0 and state.n_units == 3 and scaled_variance(state).isnan().all()
