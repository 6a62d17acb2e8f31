"""Where units lie along an axis, against real indexing."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cofire.nets.surgery.tensor_axes import places
from cofire.nets.wiring.dimensions import Dimension, product, total


@given(
    st.integers(2, 5),
    st.lists(st.integers(1, 3), max_size=2),
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(0, 4),
)
def test_units_are_found_wherever_views_and_cats_put_them(n_units, before, behind, beside):
    leaf = Dimension(n_units)
    units = torch.arange(n_units)
    numbers = units.view(*[1] * len(before), n_units, *[1] * len(behind)).expand(*before, n_units, *behind).flatten()
    numbers = torch.cat([torch.full((beside,), -1), numbers])
    dimension = total([Dimension(beside), product([*map(Dimension, before), leaf, *map(Dimension, behind)])])
    found = places(dimension, leaf)
    assert found.shape == ((numbers >= 0).sum() // n_units, n_units)
    assert bool((numbers[found] == units).all())
    assert found.unique().numel() == found.numel()


def test_an_axis_of_other_units_has_none_and_products_of_units_have_no_place():
    leaf, other = Dimension(3), Dimension(4)
    assert places(other, leaf).shape == (0, 3)
    assert places(product([leaf, other, leaf]), leaf) is None
    assert places(total([leaf, leaf]), leaf).tolist() == [[0, 1, 2], [3, 4, 5]]
