"""The operations that a recording dispatches, counted: on an accelerator each costs about the same whatever its size.

They are counted once as the CPU runs them, with its small tiles and compiled loops, and once by the tensor operations
that an accelerator runs. Hooks copy activations unseen by modes, so their copies are not counted. A bound that a change
undercuts by far is to be lowered.
"""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cofire.record import Measure, Tracker, correlation, weight_correlation
from cofire.stats.correlation import in_memory, pair_tiles
from cofire.stats.correlation.tile_sums import TileSums
from cofire.stats.weights import resultant

BATCH, SIZES = 128, (784, 1024, 1024, 10)


class Operations(TorchDispatchMode):
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += 1
        return func(*args, **(kwargs or {}))


def perceptron() -> nn.Sequential:
    layers = [(nn.Linear(n_inputs, n_units), nn.ReLU()) for n_inputs, n_units in pairwise(SIZES)]
    return nn.Sequential(*[module for layer in layers for module in layer][:-1])


def operations_of_a_recording(measures: list[Measure]) -> int:
    """Return by how many operations a step that is recorded exceeds one that is not."""
    model = perceptron()
    batches = torch.randn(6, BATCH, SIZES[0], generator=torch.Generator().manual_seed(0))
    counts = []
    with Tracker(model, measures, every=2) as tracker:
        for batch in batches:
            with Operations() as operations:
                model(batch).square().mean().backward()
                tracker.step()
            counts.append(operations.number)
    recorded, plain = counts[-1], counts[-2]  # the first ones also look at the model
    return recorded - plain


@pytest.fixture
def as_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "_compiles", lambda samples: False)
    monkeypatch.setattr(in_memory, "ELEMENTS_AT_A_TIME", in_memory.MANY_ELEMENTS)
    monkeypatch.setattr(pair_tiles, "BLOCK", pair_tiles.WIDE_BLOCK)
    monkeypatch.setattr(resultant, "WORTH_COMPILED", 1 << 60)
    monkeypatch.setitem(resultant.BUFFER_BYTES, "cpu", resultant.BUFFER_BYTES["cuda"])
    monkeypatch.setattr(TileSums, "_add_compiled", TileSums._add_by_tensors)


@pytest.mark.parametrize(("measure", "most"), [(correlation(), 298), (weight_correlation(), 318)])
def test_operations_on_the_cpu(measure: Measure, most: int) -> None:
    assert operations_of_a_recording([measure]) <= most


@pytest.mark.usefixtures("as_on_an_accelerator")
@pytest.mark.parametrize(("measure", "most"), [(correlation(), 290), (weight_correlation(), 183)])
def test_operations_on_an_accelerator(measure: Measure, most: int) -> None:
    assert operations_of_a_recording([measure]) <= most
