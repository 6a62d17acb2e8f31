"""Units prepared for the measures of pairs, as arrays for compiled code or as tensors for tiles."""

from typing import Any, NamedTuple


class Units(NamedTuple):
    """A layer's units, each prepared once.

    Attributes:
        score: what distances are taken of, float32, shape (n_units, n_samples).
        value: the samples themselves, up to an affine map, float32, shape (n_units, n_samples).
        label: 0 where the sample is continuous, else the number of its atom, int32, shape (n_units, n_samples).
        n_labels: one more than the largest label, shape (n_units,).
        order: the samples of label 0 by ascending score, then anything, shape (n_units, n_samples); uint32 in arrays,
            int64 in tensors, which take no other index.
        n_continuous: how many those are, shape (n_units,).
        smooth: whether hardly any of them are tied, shape (n_units,).
    """

    score: Any
    value: Any
    label: Any
    n_labels: Any
    order: Any
    n_continuous: Any
    smooth: Any
