"""The upper triangle of a large symmetric matrix, in square float64 blocks."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .pairs import blocks


class PackedSymmetric:
    """A symmetric matrix over units, of which only the blocks on and above the diagonal are kept.

    Args:
        n_units: side of the matrix.
        device: where it lives.

    Attributes:
        n_blocks, width: the units fall into ``n_blocks`` blocks of ``width``; the last is padded with zeros.
        tiles: shape (n_blocks (n_blocks + 1) / 2, width, width).
    """

    def __init__(self, n_units: int, device: torch.device) -> None:
        self.n_units = n_units
        self.n_blocks, self.width = blocks(n_units)
        self._places = [(i, j) for i in range(self.n_blocks) for j in range(i, self.n_blocks)]
        self.tiles = torch.zeros(len(self._places), self.width, self.width, dtype=torch.float64, device=device)

    def units(self, block: int) -> slice:
        """The units of a block."""
        return slice(block * self.width, min((block + 1) * self.width, self.n_units))

    def add_products(self, panels: list[Tensor]) -> None:
        """Add XᵀX, where ``panels`` are the column blocks of X, each (n_rows, width)."""
        product = panels[0].new_empty(self.width, self.width)
        for tile, (i, j) in zip(self.tiles, self._places, strict=True):
            tile += torch.mm(panels[i].T, panels[j], out=product)

    def add(self, other: "PackedSymmetric") -> None:
        """Add another matrix of the same side."""
        self.tiles += other.tiles.to(self.tiles.device)

    def add_outer(self, vector: Tensor) -> None:
        """Add vector·vectorᵀ."""
        for tile, (i, j) in zip(self.tiles, self._places, strict=True):
            tile.addr_(self._padded(vector, i), self._padded(vector, j))

    def rescale(self, ratio: Tensor) -> None:
        """Multiply row and column i by ``ratio[i]``."""
        for tile, (i, j) in zip(self.tiles, self._places, strict=True):
            tile *= self._padded(ratio, i)[:, None]
            tile *= self._padded(ratio, j)

    def diagonal(self) -> Tensor:
        """The diagonal, shape (n_units,)."""
        on_it = [tile.diagonal() for tile, (i, j) in zip(self.tiles, self._places, strict=True) if i == j]
        return torch.cat(on_it)[: self.n_units]

    def cut(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Row units, column units and entries of each block, without the padding."""
        for tile, (i, j) in zip(self.tiles, self._places, strict=True):
            rows, columns = self.units(i), self.units(j)
            yield rows, columns, tile[: rows.stop - rows.start, : columns.stop - columns.start]

    def assembled(self, of_block: Callable[[Tensor, slice, slice], Tensor]) -> Tensor:
        """The whole matrix, shape (n_units, n_units), of ``of_block(entries, row units, column units)``."""
        whole = self.tiles.new_empty(self.n_units, self.n_units)
        for rows, columns, entries in self.cut():
            values = of_block(entries, rows, columns)
            whole[columns, rows] = values.T
            whole[rows, columns] = values
        return whole

    def _padded(self, vector: Tensor, block: int) -> Tensor:
        part = vector[self.units(block)]
        return torch.nn.functional.pad(part, (0, self.width - len(part)))
