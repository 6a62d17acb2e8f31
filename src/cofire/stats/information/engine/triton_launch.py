"""Nearest neighbors in many pairs of units on a GPU: one Triton kernel that keeps what it compares in registers.

Every sample is compared with all others of its pair: some ten operations for each, so that a thousand samples take
less than what preparing them does. Triton comes with torch where there is a GPU that it can compile for; elsewhere
:mod:`.torch_neighbors` finds the same.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor

MOST_NEIGHBORS = 8
ROWS, WARPS = 256, 4


class Counted(NamedTuple):
    """Of each sample, shape (n_pairs, width); what stands in the padding means nothing.

    Attributes:
        radius: distance to the k-th other under the max-norm, float32.
        near_x, near_y: how many samples, itself included, are nearer than that in one unit alone, int32.
    """

    radius: Tensor
    near_x: Tensor
    near_y: Tensor


def fits(x: Tensor, k: int) -> bool:
    """Whether the kernel can be had for these samples."""
    return x.is_cuda and k <= MOST_NEIGHBORS and _has_triton()


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def search(x: Tensor, y: Tensor, number: Tensor, k: int) -> Counted:
    """Search the k-th neighbor of each sample, and count who is nearer in each unit.

    Args:
        x: the first units, float32, shape (n_pairs, width).
        y: the second.
        number: how many samples of each pair count, the first ones, int64, shape (n_pairs,).
        k: at most ``MOST_NEIGHBORS``.
    """
    from .triton_kernel import search_all

    radius = torch.empty_like(x)
    near_x, near_y = torch.empty(2, *x.shape, dtype=torch.int32, device=x.device)
    kernel: Any = search_all
    arrays = (x.contiguous(), y.contiguous(), number, radius, near_x, near_y)
    with torch.cuda.device(x.device):
        kernel[len(x), -(-x.shape[1] // ROWS)](*arrays, x.shape[1], K=k, ROWS=ROWS, num_warps=WARPS)
    return Counted(radius, near_x, near_y)
