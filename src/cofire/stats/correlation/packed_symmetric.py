"""The upper triangle of a large symmetric matrix, in square float64 blocks."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .pair_tiles import blocks


class PackedSymmetric:
    """A symmetric matrix over units that keeps only the blocks on and above the diagonal.

    Args:
        n_units: side of the matrix.
        device: device of its memory.
        tiles: its blocks, of any equal width, to start from; by default zeros, allocated when they are needed.

    Attributes:
        n_blocks, width: the units are divided into ``n_blocks`` blocks of ``width``; the last is padded with zeros.
        places: (row block, column block) of each tile.
    """

    def __init__(self, n_units: int, device: torch.device, tiles: Tensor | None = None) -> None:
        self.n_units = n_units
        self.device = device
        # tiles that come from another kind of device are of another width than this one would choose
        self.width = blocks(n_units, device)[1] if tiles is None else tiles.shape[-1]
        self.n_blocks = -(-n_units // self.width) if self.width else 1
        self.places = [(i, j) for i in range(self.n_blocks) for j in range(i, self.n_blocks)]
        self._tiles = tiles

    @property
    def tiles(self) -> Tensor:
        """The blocks, shape (n_blocks (n_blocks + 1) / 2, width, width); zero at first."""
        if self._tiles is None:
            self._tiles = self._room().zero_()
        return self._tiles

    def units(self, block: int) -> slice:
        """Return the units of a block."""
        return slice(block * self.width, min((block + 1) * self.width, self.n_units))

    def padded(self, vector: Tensor) -> Tensor:
        """Return a vector over units by blocks, shape (n_blocks, width), with zeros at the end."""
        whole = vector.new_zeros(self.n_blocks * self.width)
        whole[: self.n_units] = vector
        return whole.view(self.n_blocks, self.width)

    def add_products(self, panels: Tensor, room: Tensor) -> None:
        """Add XᵀX, given the column blocks of X, shape (n_blocks, n_rows, width); products are computed in ``room``."""
        # touching memory costs as much as a product, so the first products are written without zeroing it before
        first = self._tiles is None
        self._tiles = self._room() if first else self.tiles
        done = 0
        for i, left in enumerate(panels):
            for right in panels[i:].split(len(room)):
                products, tiles = room[: len(right)], self._tiles[done : done + len(right)]
                torch.bmm(left.T.expand(len(right), -1, -1), right, out=products)
                (tiles.copy_ if first else tiles.add_)(products)
                done += len(right)

    def room_for_products(self, dtype: torch.dtype) -> Tensor:
        """Return memory for products, shape (number, width, width).

        One product for each thread: several small products side by side are faster than each of them cut into parts.
        """
        number = min(self.n_blocks, torch.get_num_threads()) if self.device.type == "cpu" else 1
        return torch.empty(number, self.width, self.width, dtype=dtype, device=self.device)

    def add(self, other: "PackedSymmetric") -> None:
        """Add another matrix of the same side."""
        self.tiles.add_(other.tiles.to(self.device))

    def add_outer(self, vector: Tensor) -> None:
        """Add vector·vectorᵀ."""
        parts = self.padded(vector)
        for tile, (i, j) in zip(self.tiles, self.places, strict=True):
            tile.addr_(parts[i], parts[j])

    def rescale(self, ratio: Tensor) -> None:
        """Multiply row and column i by ``ratio[i]``."""
        parts = self.padded(ratio)
        for tile, (i, j) in zip(self.tiles, self.places, strict=True):
            tile.mul_(parts[i][:, None]).mul_(parts[j])

    def diagonal(self) -> Tensor:
        """Return the diagonal, shape (n_units,)."""
        on_it = [tile.diagonal() for tile, (i, j) in zip(self.tiles, self.places, strict=True) if i == j]
        return torch.cat(on_it)[: self.n_units]

    def assembled(self, of_block: Callable[[Tensor, slice, slice], Tensor]) -> Tensor:
        """Return the whole matrix, (n_units, n_units), made of ``of_block(entries, row units, column units)``."""
        whole = self.tiles.new_empty(self.n_units, self.n_units)
        for tile, (i, j) in zip(self.tiles, self.places, strict=True):
            rows, columns = self.units(i), self.units(j)
            values = of_block(tile[: rows.stop - rows.start, : columns.stop - columns.start], rows, columns)
            if i == j:  # a product with itself rounds differently on either side of the diagonal
                values = values.triu() + values.triu(1).T
            whole[columns, rows] = values.T
            whole[rows, columns] = values
        return whole

    def _room(self) -> Tensor:
        shape = len(self.places), self.width, self.width
        if self.device.type == "cpu":
            return torch.from_numpy(np.empty(shape))  # numpy asks for large pages, which cost less when first touched
        return torch.empty(shape, dtype=torch.float64, device=self.device)
