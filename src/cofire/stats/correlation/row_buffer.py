"""Rows of a stream that wait to be folded into its moments together: one product for many batches."""

import torch
from torch import Tensor

from .packed_symmetric import PackedSymmetric

# On the CPU a part of them stays in cache, and they are small beside the co-moment; elsewhere a product must be large.
ELEMENTS, MANY_ELEMENTS = 1 << 20, 1 << 24
FEWEST, MOST = 256, 1 << 11


class RowBuffer:
    """Up to ``capacity`` rows, by the blocks of units of the co-moment that they go to.

    Args:
        comoment: whose blocks, and whose device.
        dtype: in which the rows are kept.
        compute_dtype: in which their products are taken.

    Attributes:
        count: how many rows wait.
        capacity: how many there may be.
    """

    def __init__(self, comoment: PackedSymmetric, dtype: torch.dtype, compute_dtype: torch.dtype) -> None:
        elements = ELEMENTS if comoment.device.type == "cpu" else MANY_ELEMENTS
        self.count, self.capacity = 0, min(MOST, max(FEWEST, elements // comoment.n_units))
        self._comoment = comoment
        # one row is spare for Chan's term; padding is zero
        shape = (comoment.n_blocks, self.capacity + 1, comoment.width)
        self._room = torch.empty(shape, dtype=dtype, device=comoment.device)
        self._products = comoment.room_for_products(compute_dtype)
        # kept, where memory of its size that comes and goes would leave holes in the C library's heap
        on_cpu, size = comoment.device.type == "cpu", (self.capacity, comoment.width)
        self._exact = torch.empty(size, dtype=torch.float64, device=comoment.device) if on_cpu else None
        last = comoment.units(comoment.n_blocks - 1)
        self._room[-1, :, last.stop - last.start :] = 0

    @property
    def dtype(self) -> torch.dtype:
        """In which the rows are kept."""
        return self._room.dtype

    @property
    def space(self) -> int:
        """How many rows more there may be."""
        return self.capacity - self.count

    def take(self, samples: Tensor, shift: Tensor) -> None:
        """Copy rows (at most ``space``), measured from ``shift``, shape (n_units,), block by block."""
        places, shift = slice(self.count, self.count + len(samples)), shift.to(self.dtype)
        for block, panel in enumerate(self._room):
            units = self._comoment.units(block)
            panel[places, : units.stop - units.start].copy_(samples[:, units]).sub_(shift[units])
        self.count += len(samples)

    def center(self) -> tuple[Tensor, Tensor]:
        """Take each unit's mean off, as far as the rows' type can hold it; the exact mean, and the largest residue."""
        mean = self._room.new_empty(self._room.shape[0], self._room.shape[2], dtype=torch.float64)
        spread = torch.empty_like(mean, dtype=self.dtype)
        for block, rows in enumerate(self._room[:, : self.count]):
            mean[block] = self._mean(rows)
            rows.sub_(mean[block].to(rows.dtype))
            torch.maximum(rows.amax(0), -rows.amin(0), out=spread[block])
        n_units = self._comoment.n_units
        return mean.view(-1)[:n_units], spread.view(-1)[:n_units]

    def _mean(self, rows: Tensor) -> Tensor:
        """In float64, shape (width,)."""
        if self._exact is None:
            return rows.mean(0, dtype=torch.float64)
        return self._exact[: len(rows)].copy_(rows).mean(0)

    def scale_down(self, rest: Tensor, scale: Tensor) -> None:
        """Take off what was left of the mean and divide by the scale, a power of two: rounded once."""
        inverse = self._comoment.padded((1 / scale).to(self.dtype))
        offset = self._comoment.padded((-rest / scale).to(self.dtype))
        for block, rows in enumerate(self._room[:, : self.count]):
            torch.addcmul(offset[block], rows, inverse[block], out=rows)

    def fold(self, further: Tensor) -> None:
        """Add the products of all rows and of ``further``, one row more, to the co-moment; then none waits."""
        panels = self._room[:, : self.count + 1]
        panels[:, -1] = self._comoment.padded(further)
        self._comoment.add_products(panels.to(self._products.dtype), self._products)
        self.count = 0
