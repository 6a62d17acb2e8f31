"""Lengths of vectors and the sum of their directions, in one pass over the vectors.

Large matrices in the host's memory go through compiled loops, which on one thread take little longer than reading them
(docs/decisions/0015). Everything else goes through tensor operations on a buffer. Tests compare the two.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

BUFFER_BYTES = {"cpu": 2 << 20, "cuda": 1 << 28}
WORTH_COMPILED = 1 << 20  # elements; below, loading the compiled code takes longer than it can save


class Resultant(NamedTuple):
    """Lengths and summed directions of vectors, shape (n_vectors, n_axes).

    Attributes:
        lengths: Euclidean lengths, float64, shape (n_vectors,).
        total: sum of the vectors after each is scaled to length 1 (zero vectors stay zero), float64, shape (n_axes,).
    """

    lengths: Tensor
    total: Tensor


def resultant(vectors: Tensor) -> Resultant:
    """Return lengths and resultant of float32 or float64 vectors whose squares stay in the range of float64."""
    if vectors.device.type == "cpu" and vectors.numel() >= WORTH_COMPILED:
        if vectors.is_contiguous():
            return _by_rows(vectors)
        if vectors.T.is_contiguous():
            return _by_columns(vectors)
    return _by_tensors(vectors)


def _by_tensors(vectors: Tensor) -> Resultant:
    n_vectors, n_axes = vectors.shape
    n_rows = max(1, BUFFER_BYTES.get(vectors.device.type, 1 << 26) // (8 * n_axes))
    buffer = torch.empty(min(n_rows, n_vectors), n_axes, dtype=torch.float64, device=vectors.device)
    total = torch.zeros(n_axes, dtype=torch.float64, device=vectors.device)
    lengths = []
    for block in vectors.split(n_rows):
        exact = buffer[: len(block)].copy_(block)
        length = torch.linalg.vector_norm(exact, dim=1)
        total.addmv_(exact.T, length.reciprocal().masked_fill_(length == 0, 0.0))
        lengths.append(length)
    return Resultant(torch.cat(lengths), total)


def _by_rows(vectors: Tensor) -> Resultant:
    """Use compiled loops on vectors that are the rows of a table."""
    from .resultant_numba import add_directions

    rows = vectors.numpy()
    lengths, total = np.empty(len(rows)), np.zeros(rows.shape[1])
    add_directions(rows, lengths, total)
    return Resultant(torch.from_numpy(lengths), torch.from_numpy(total))


def _by_columns(vectors: Tensor) -> Resultant:
    """Use compiled loops on vectors that are the columns of a table, which is read twice."""
    from .resultant_numba import add_squares, project

    table = vectors.T.numpy()
    squares, total = np.zeros(table.shape[1]), np.empty(len(table))
    add_squares(table, squares)
    lengths = np.sqrt(squares)
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths != 0)
    project(table, inverse, total)
    return Resultant(torch.from_numpy(lengths), torch.from_numpy(total))
