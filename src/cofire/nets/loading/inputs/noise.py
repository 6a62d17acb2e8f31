"""Random inputs, for want of data."""

import re
from collections.abc import Iterator
from typing import Any

import torch

from ..libraries.preprocessing import Preprocessing
from .in_parts import size_for

SEED = 0
SHAPE = re.compile(r"random(?::(?P<shape>[1-9]\d*(?:,[1-9]\d*)*))?")


def is_noise(text: str) -> bool:
    """Return whether random inputs are asked for: ``random``, or ``random:`` with the shape of one input."""
    return text == "random" or text.startswith("random:")


class Noise:
    """Random inputs, the same in every pass: standard normal numbers, or random tokens for models of text.

    Args:
        text: ``random``, where the model says what it takes; or ``random:3,224,224``, the shape of one input.
        preprocessing: of the model.
        most: how many inputs.
        size: inputs in a batch.

    Raises:
        ValueError: for a shape that is none, or if the model's inputs are unknown.

    Example:
        >>> noise = Noise("random:3,8", Preprocessing(torch.nn.Identity()), most=600, size=None)
        >>> [tuple(batch.shape) for batch in noise]
        [(512, 3, 8), (88, 3, 8)]
    """

    def __init__(self, text: str, preprocessing: Preprocessing, *, most: int, size: int | None) -> None:
        found = SHAPE.fullmatch(text)
        if found is None:
            raise ValueError(f"random takes the shape of one input, for example random:3,224,224; got {text!r}")
        self._shape = [int(side) for side in found["shape"].split(",")] if found["shape"] else None
        self._preprocessing, self._most = preprocessing, most
        one = self._made(1, torch.Generator().manual_seed(SEED))
        self._size = size or (32 if isinstance(one, dict) else size_for(one.numel()))

    def __iter__(self) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(SEED)
        for start in range(0, self._most, self._size):
            yield self._made(min(self._size, self._most - start), generator)

    def __len__(self) -> int:
        return -(-self._most // self._size)

    def _made(self, n: int, generator: torch.Generator) -> Any:
        if self._shape is not None:
            return torch.randn(n, *self._shape, generator=generator)
        return self._preprocessing.noise(n, generator)
