"""Lengths of vectors and the sum of their directions, in one pass over the vectors.

Compiled for large matrices in the host's memory: little more than reading them. Elsewhere it is tensor operations on
a buffer; the two are held against each other in the tests.
"""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._base.threads import at_once

BUFFER_BYTES = {"cpu": 2 << 20, "cuda": 1 << 28}
WORTH_COMPILED = 1 << 20  # elements below which loading the compiled code takes longer than it can save


class Resultant(NamedTuple):
    """Of vectors, shape (n_vectors, n_axes).

    Attributes:
        lengths: Euclidean, float64, shape (n_vectors,).
        total: sum of the vectors, each scaled to length 1 (or 0 if it is 0), float64, shape (n_axes,).
    """

    lengths: Tensor
    total: Tensor


def resultant(vectors: Tensor) -> Resultant:
    """Lengths and resultant of float32 or float64 vectors, in float64; their squares must stay in its range."""
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
    lengths = torch.empty(n_vectors, dtype=torch.float64, device=vectors.device)
    total = torch.zeros(n_axes, dtype=torch.float64, device=vectors.device)
    for block, length in zip(vectors.split(n_rows), lengths.split(n_rows), strict=True):
        exact = buffer[: len(block)].copy_(block)
        length.copy_(torch.linalg.vector_norm(exact, dim=1))
        total.addmv_(exact.T, torch.where(length == 0, 0.0, 1 / length))
    return Resultant(lengths, total)


def _by_rows(vectors: Tensor) -> Resultant:
    """Compiled, for vectors each of which lies in one piece."""
    from .resultant_numba import add_directions

    rows = vectors.numpy()
    cuts = _cuts(len(rows))
    lengths, totals = np.empty(len(rows)), np.zeros((len(cuts), rows.shape[1]))
    at_once(partial(add_directions, rows[part], lengths[part], total) for part, total in zip(cuts, totals, strict=True))
    return Resultant(torch.from_numpy(lengths), torch.from_numpy(totals.sum(0)))


def _by_columns(vectors: Tensor) -> Resultant:
    """Compiled, for vectors that are the columns of a table; it is read twice."""
    from .resultant_numba import add_squares, project

    table = vectors.T.numpy()
    cuts = _cuts(len(table))
    squares, total = np.zeros((len(cuts), table.shape[1])), np.empty(len(table))
    at_once(partial(add_squares, table[part], square) for part, square in zip(cuts, squares, strict=True))
    lengths = np.sqrt(squares.sum(0))
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths != 0)
    at_once(partial(project, table[part], inverse, total[part]) for part in cuts)
    return Resultant(torch.from_numpy(lengths), torch.from_numpy(total))


def _cuts(n_rows: int) -> list[slice]:
    """Rows in about equal parts, one a thread."""
    n_threads = min(torch.get_num_threads(), n_rows)
    return [slice(*ends) for ends in pairwise(n_rows * thread // n_threads for thread in range(n_threads + 1))]
