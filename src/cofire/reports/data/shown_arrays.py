"""The arrays that a report shows, and what must hold of them to be drawn."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**53
"""Counts and numbers of units beyond this are none: floats don't tell them from their neighbors."""

FORMS: Mapping[str, tuple[str, ...]] = {
    "histogram": ("bins",),
    "correlation": ("mapped", "mapped"),
    "correlation_units": ("mapped",),
    "constant_units": ("constant",),
    "duplicates": ("copies", "3"),
    "dependence": ("paired", "paired"),
    "dependence_correlation": ("paired", "paired"),
    "dependence_difference": ("paired", "paired"),
    "dependence_units": ("paired",),
    "dependence_chance": ("2",),
    "sample": ("samples", "sampled"),
    "sample_range": ("2", "sampled"),
    "sample_units": ("sampled",),
}
"""The axes of each array; those of one name are as long as one another in one recording of a layer."""

COUNTS = ("histogram", "correlation_units", "constant_units", "dependence_units", "sample_units")
TOGETHER = {
    "dependence": ("dependence_correlation", "dependence_difference", "dependence_units"),
    "sample": ("sample_range",),
}
"""Arrays without which another can't be drawn."""


def check_arrays(site: str, arrays: Mapping[str, Mapping[int, NDArray[np.generic]]]) -> None:
    """Refuse arrays that were not recorded by cofire's measures, which drawing relies on.

    Args:
        site: where they were recorded, for the error.
        arrays: by name and step.

    Raises:
        ValueError: with the name of the first one that is of the wrong type or shape, or lacks another.
    """
    lengths: dict[tuple[int, str], int] = {}
    for name, at in arrays.items():
        for step, array in at.items():
            if not (_has_numbers(name, array) and _has_form(name, step, array, lengths)):
                raise ValueError(
                    f"the array {name!r} of site {site!r} at step {step} is not as cofire records it: it is of "
                    f"shape {array.shape} and type {array.dtype}"
                )
    for name, others in TOGETHER.items():
        for other in others:
            if missing := sorted(arrays.get(name, {}).keys() - arrays.get(other, {}).keys()):
                raise ValueError(f"the array {other!r} of site {site!r} is missing at step {missing[0]}")


def _has_numbers(name: str, array: NDArray[np.generic]) -> bool:
    if name not in COUNTS:
        return array.dtype.kind == "f"
    return array.dtype.kind in "iu" and (not array.size or bool((array.min() >= 0) & (array.max() < LARGEST)))


def _has_form(name: str, step: int, array: NDArray[np.generic], lengths: dict[tuple[int, str], int]) -> bool:
    form = FORMS[name]
    if array.ndim != len(form):
        return False
    if name == "duplicates" and not bool(np.isfinite(array).all() & (np.abs(array) < LARGEST).all()):
        return False
    return all(
        length == (int(axis) if axis.isdecimal() else lengths.setdefault((step, axis), length))
        for axis, length in zip(form, array.shape, strict=True)
    )
