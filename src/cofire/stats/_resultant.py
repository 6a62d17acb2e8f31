"""Lengths of vectors and the sum of their directions, in one pass over the vectors.

Compiled for large matrices in the host's memory: little more than reading them. Elsewhere it is tensor operations on
a buffer; the two are held against each other in the tests.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

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
    fast = vectors.device.type == "cpu" and vectors.is_contiguous() and vectors.numel() >= WORTH_COMPILED
    return (_compiled if fast else _by_tensors)(vectors)


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


def _compiled(vectors: Tensor) -> Resultant:
    from ._resultant_kernel import add_directions

    rows = vectors.numpy()
    n_threads = min(torch.get_num_threads(), len(rows))
    lengths, totals = np.empty(len(rows)), np.zeros((n_threads, rows.shape[1]))
    cuts = [len(rows) * thread // n_threads for thread in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as threads:
        parts = zip(pairwise(cuts), totals, strict=True)
        running = [threads.submit(add_directions, rows[a:b], lengths[a:b], total) for (a, b), total in parts]
        for part in running:
            part.result()
    return Resultant(torch.from_numpy(lengths), torch.from_numpy(totals.sum(0)))
