"""How data are divided."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cofire.nets.shrinking.data import LEAST_BATCHES, divided, in_memory, n_samples, picked


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(2, 5), st.data())
def test_samples_are_dealt_out_in_turn(lengths, of, data):
    at = data.draw(st.integers(0, of - 1))
    numbers = torch.arange(sum(lengths))
    first, others = divided(numbers.split(lengths), of=of, at=at)
    joined = [torch.cat(part).tolist() if part else [] for part in (first, others)]
    assert joined[0] == [n for n in range(len(numbers)) if n % of == at]
    assert sorted(joined[0] + joined[1]) == numbers.tolist()
    assert n_samples(first) + n_samples(others) == len(numbers)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_few_batches_are_cut_into_ten_and_keep_their_samples(lengths):
    numbers = torch.arange(sum(lengths))
    batches = in_memory(list(numbers.split(lengths)))
    assert torch.equal(torch.cat(batches), numbers)
    assert len(batches) >= min(LEAST_BATCHES, len(numbers))


def test_a_tensor_comes_in_ten_batches():
    assert [len(one) for one in in_memory(torch.zeros(100, 3))] == [10] * 10


def test_all_parts_of_a_sample_go_together_and_other_tensors_stay():
    x, y, weights = torch.arange(4), torch.arange(4) * 10, torch.ones(7)
    batch = {"x": x, "more": (y, [x, "text"]), "weights": weights, "flag": True, "scale": torch.tensor(2.0)}
    found = picked(batch, torch.tensor([1, 3]))
    assert found["x"].tolist() == [1, 3] and found["more"][0].tolist() == [10, 30]
    assert found["more"][1][0].tolist() == [1, 3] and found["more"][1][1] == "text"
    assert found["weights"] is weights and found["flag"] is True and float(found["scale"]) == 2.0
    assert isinstance(picked((x, y), torch.tensor([0])), tuple)


@pytest.mark.parametrize("data", [[], torch.zeros(0, 3), "text", {"x": torch.zeros(3)}, 3, iter([torch.zeros(3)])])
def test_what_holds_no_samples_raises(data):
    with pytest.raises(ValueError, match=r"data|sample"):
        in_memory(data)
