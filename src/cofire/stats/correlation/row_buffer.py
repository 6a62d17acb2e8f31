"""Buffer of rows that are folded into the moments of a stream together: one product for many batches."""

import torch
from torch import Tensor

from .packed_symmetric import PackedSymmetric

# On the CPU part of the buffer stays in cache, and it is small beside the co-moment; elsewhere products must be large.
ELEMENTS, MANY_ELEMENTS = 1 << 20, 1 << 24
FEWEST, MOST = 256, 1 << 11


class RowBuffer:
    """Up to ``capacity`` rows, divided into the blocks of units of the co-moment that they will be added to.

    Args:
        comoment: the co-moment; the rows are kept on its device.
        dtype: type of the rows.
        compute_dtype: type of their products.

    Attributes:
        count: number of rows held.
        capacity: largest number of rows.
        dtype: type of the rows.
    """

    def __init__(self, comoment: PackedSymmetric, dtype: torch.dtype, compute_dtype: torch.dtype) -> None:
        elements = ELEMENTS if comoment.device.type == "cpu" else MANY_ELEMENTS
        self.count, self.capacity = 0, min(MOST, max(FEWEST, elements // comoment.n_units))
        self.dtype, self._comoment = dtype, comoment
        # one more row for Chan's term; the padding of the last block is zero
        shape = (comoment.n_blocks, self.capacity + 1, comoment.width)
        self._room = torch.empty(shape, dtype=dtype, device=comoment.device)
        self._products = comoment.room_for_products(compute_dtype)
        # kept, because allocating and freeing memory of this size again and again fragments the C library's heap
        on_cpu, size = comoment.device.type == "cpu", (self.capacity, comoment.width)
        self._exact = torch.empty(size, dtype=torch.float64, device=comoment.device) if on_cpu else None
        last = comoment.units(comoment.n_blocks - 1)
        self._room[-1, :, last.stop - last.start :] = 0

    @property
    def space(self) -> int:
        """Number of further rows that fit."""
        return self.capacity - self.count

    def take(self, samples: Tensor, shift: Tensor) -> None:
        """Copy rows (at most ``space``) less ``shift``, shape (n_units,), block by block."""
        places, shift = slice(self.count, self.count + len(samples)), shift.to(self.dtype)
        for block, panel in enumerate(self._room):
            units = self._comoment.units(block)
            panel[places, : units.stop - units.start].copy_(samples[:, units]).sub_(shift[units])
        self.count += len(samples)

    def center(self) -> tuple[Tensor, Tensor]:
        """Subtract each unit's mean, rounded to the rows' type; return the exact mean and the largest deviations."""
        mean = self._room.new_empty(self._room.shape[0], self._room.shape[2], dtype=torch.float64)
        spread = torch.empty_like(mean, dtype=self.dtype)
        for block, rows in enumerate(self._room[:, : self.count]):
            exact = rows if self._exact is None else self._exact[: len(rows)].copy_(rows)
            mean[block] = exact.mean(0, dtype=torch.float64)
            rows.sub_(mean[block].to(rows.dtype))
            torch.maximum(rows.amax(0), -rows.amin(0), out=spread[block])
        n_units = self._comoment.n_units
        return mean.view(-1)[:n_units], spread.view(-1)[:n_units]

    def scale_down(self, rest: Tensor, scale: Tensor) -> None:
        """Subtract the rest of the mean and divide by the scale, a power of two, with a single rounding."""
        inverse = self._comoment.padded((1 / scale).to(self.dtype))
        offset = self._comoment.padded((-rest / scale).to(self.dtype))
        for block, rows in enumerate(self._room[:, : self.count]):
            torch.addcmul(offset[block], rows, inverse[block], out=rows)

    def fold(self, further: Tensor) -> None:
        """Add the products of all rows and of ``further``, one more row, to the co-moment; empty the buffer."""
        panels = self._room[:, : self.count + 1]
        panels[:, -1] = self._comoment.padded(further)
        self._comoment.add_products(panels.to(self._products.dtype), self._products)
        self.count = 0
