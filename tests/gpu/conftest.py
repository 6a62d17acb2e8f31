"""What the tests on a GPU share: the skip where there is none, and the comparison with the CPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from on_device import numbers, stays_on_device
from torch import Tensor


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.path.parent.name == "gpu":
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture
def same_on_both() -> Callable[..., None]:
    """Checks that a function gives the same numbers for tensors on either side, without a copy of them."""

    def check(function: Callable[..., Any], *inputs: Tensor, rtol: float = 1e-6, atol: float = 1e-8) -> None:
        expected = numbers(function(*inputs))
        moved = [one.cuda() for one in inputs]
        with stays_on_device():
            found = numbers(function(*moved))
        assert len(found) == len(expected) > 0
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours.cpu(), theirs, rtol=rtol, atol=atol, equal_nan=True)
        for before, after in zip(inputs, moved, strict=True):
            torch.testing.assert_close(after.cpu(), before, rtol=0, atol=0, equal_nan=True)  # unchanged

    return check
