"""What a summary needs of one tile of correlations, in one pass: compiled for tiles in the host's memory.

Elsewhere it is tensor operations, at fifteen passes over the tile; the two are held against each other in the tests.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

N_SUMS = 7


class TileSums(NamedTuple):
    """Sums over a tile of rho, with w = exp(decay rho²).

    Attributes:
        sums: of rho, rho², w, w², w⁴, w⁵ and w⁸, float64, shape (7,).
        signs: of rho, shaped and typed as the tile.
        rows, columns: sums of abs(rho) over each row and each column, in the tile's type.
    """

    sums: Tensor
    signs: Tensor
    rows: Tensor
    columns: Tensor


def tile_sums(values: Tensor, decay: float) -> TileSums:
    """The sums of one tile; ``decay`` is negative."""
    return (_compiled if values.device.type == "cpu" else _by_tensors)(values, decay)


def _by_tensors(values: Tensor, decay: float) -> TileSums:
    magnitude = values.abs()
    w = torch.addcmul(values.new_zeros(()), values, values, value=decay).exp_()
    w2 = w * w
    w4 = w2 * w2
    sums = [values.sum(), _dot(values, values), w.sum(), w2.sum(), w4.sum(), _dot(w4, w), _dot(w4, w4)]
    return TileSums(torch.stack(sums).double(), values.sign(), magnitude.sum(1), magnitude.sum(0))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))


def _compiled(values: Tensor, decay: float) -> TileSums:
    # compiled code is imported when it is first wanted: it takes longer to load than most tiles take to sum
    from ._tile_kernel import add_tile

    tile: Any = values.numpy()
    signs, rows = np.empty_like(tile), np.empty(len(tile), tile.dtype)
    columns, sums = np.zeros(tile.shape[1], tile.dtype), np.zeros(N_SUMS)
    add_tile(tile, tile.dtype.type(decay), signs, rows, columns, sums)
    return TileSums(*map(torch.from_numpy, (sums, signs, rows, columns)))
