"""Tiles of the correlation matrix straight from samples in memory, of which no copy is kept."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .._base.scaling import power_of_two
from .pair_tiles import Tile, blocks

ROWS_A_PRODUCT = 4096
ELEMENTS_AT_A_TIME, MANY_ELEMENTS = 1 << 17, 1 << 24  # on the CPU, where they stay in cache, and elsewhere
PANEL_BYTES, HELD_UNITS = 16 << 20, 2048
REACH = 1e30  # norms between 1 / REACH and REACH have an inverse and a square in float32 and in float64


class InMemory:
    """Samples (n_samples, n_units), their means and norms, and the tiles of their correlations.

    Args:
        samples: any real type, on any device.
        compute: type of the products.
        work: type in which samples are centered.

    Attributes:
        defined: units with a correlation, bool, shape (n_units,).
    """

    def __init__(self, samples: Tensor, compute: torch.dtype, work: torch.dtype) -> None:
        self.compute, self.work = compute, work
        self.samples, self.center, self.norm = _in_range(samples, *center_and_norm(samples))
        self.defined = self.norm.isfinite() & (self.norm > 0) & (len(samples) > 1)
        self._affine = self._centering()

    @property
    def n_constant(self) -> int:
        """Units that never varied; none before the second sample."""
        return int((self.norm == 0).sum()) if len(self.samples) > 1 else 0

    @property
    def n_nonfinite(self) -> int:
        """Units that met a NaN or an infinity."""
        return int(self.norm.isfinite().logical_not_().sum()) if len(self.samples) else 0

    def _centering(self) -> "Affine":
        """In two steps, so that float32 loses nothing at a large mean."""
        coarse = self.center.to(self.work)
        inverse = torch.where(self.defined, 1 / self.norm, 0.0)
        return Affine(coarse, (self.center - coarse).to(self.work), inverse.to(self.work))

    def standardized(self, rows: Tensor) -> Tensor:
        """Chosen rows with mean 0 and variance 1 over all rows; 0 for undefined units."""
        room = Room(self.compute, self.samples.device)
        chosen = self._normalized(self.samples[rows], 0, self.samples.shape[1], room)
        return chosen.mul_(math.sqrt(max(len(self.samples) - 1, 1)))

    def tiles(self) -> Iterator[Tile]:
        """Each pass centers the samples anew, a panel of units at a time, rather than keep a copy of them.

        Of the panel that is held, a strip of units is multiplied with all from there on, then the whole with each of
        the blocks behind it.
        """
        n_units = self.samples.shape[1]
        _, width = blocks(n_units, self.samples.device)
        step = self._units_at_once(width)
        product, panel, behind = (Room(self.compute, self.samples.device) for _ in range(3))
        for first in range(0, n_units, step):
            last = min(first + step, n_units)
            held = self._normalized(self.samples, first, last, panel)
            for row in range(first, last, width):
                strip = held[:, row - first :]
                yield Tile(row, row, transposed_product(strip[:, :width], strip, product))
            for column in range(last, n_units, width):
                other = self._normalized(self.samples, column, min(column + width, n_units), behind)
                yield Tile(first, column, transposed_product(held, other, product))

    def _units_at_once(self, width: int) -> int:
        """How many units a panel may hold: some blocks of ``width``."""
        bytes_a_unit = max(1, len(self.samples) * self.compute.itemsize)
        return width * max(1, min(HELD_UNITS, PANEL_BYTES // bytes_a_unit) // width)

    def _normalized(self, samples: Tensor, first: int, last: int, room: "Room") -> Tensor:
        """Some units, centered and of norm 1, shape (n_samples, last - first)."""
        out = room.for_matrix(len(samples), last - first)
        normalize(samples, first, Affine(*(one[first:last] for one in self._affine)), out)
        return out


class Room:
    """Memory that one matrix after the other is written to: fresh memory costs as much as a product."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._held = torch.empty(0, dtype=dtype, device=device)

    def for_matrix(self, height: int, width: int) -> Tensor:
        """Uninitialized, shape (height, width), in place of what was there before."""
        if len(self._held) < height * width:
            self._held = self._held.new_empty(height * width)
        return self._held[: height * width].view(height, width)


def transposed_product(left: Tensor, right: Tensor, room: Room) -> Tensor:
    """leftᵀ·right, summed in float64 over stretches of rows, so that float32 keeps its precision over many."""
    product = room.for_matrix(left.shape[1], right.shape[1])
    if len(left) <= ROWS_A_PRODUCT:
        return torch.mm(left.T, right, out=product)
    total = torch.zeros_like(product, dtype=torch.float64)
    for a, b in zip(left.split(ROWS_A_PRODUCT), right.split(ROWS_A_PRODUCT), strict=True):
        total += torch.mm(a.T, b, out=product)
    return product.copy_(total)


def center_and_norm(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each unit and the norm of what is left without it, in float64; a constant unit has norm exactly 0."""
    if len(samples) == 0:
        nothing = torch.full((samples.shape[1],), torch.nan, dtype=torch.float64, device=samples.device)
        return nothing, nothing
    return (_center_and_norm_compiled if _compiles(samples) else _center_and_norm_by_tensors)(samples)


def _center_and_norm_by_tensors(samples: Tensor) -> tuple[Tensor, Tensor]:
    shift = samples[0].double()
    chunks = samples.split(_rows_at_a_time(samples))
    offset = torch.stack([(chunk - shift).sum(0) for chunk in chunks]).sum(0) / len(samples)
    squares = torch.stack([(chunk - shift).sub_(offset).square_().sum(0) for chunk in chunks])
    return shift + offset, squares.sum(0).sqrt()


def _center_and_norm_compiled(samples: Tensor) -> tuple[Tensor, Tensor]:
    # compiled code is imported when it is first wanted: loading it takes longer than reading most samples
    from .centering_numba import find_center_and_norm

    found = torch.empty(2, samples.shape[1], dtype=torch.float64, device=samples.device)
    find_center_and_norm(samples.numpy(), *found.numpy())
    return found[0], found[1]


def _in_range(samples: Tensor, center: Tensor, norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, or a copy in which units of extreme scale are divided by a power of two, if there are any."""
    if len(samples) < 2 or _all_in_range(norm, zeros=samples.dtype != torch.float64):
        return samples, center, norm
    # only float64 holds values whose squares leave it: a norm of 0 or infinity may then be the squares' fault
    extreme = ((norm < 1 / REACH) | (norm > REACH)) & ((norm > 0) & norm.isfinite() | (samples.dtype == torch.float64))
    if not extreme.any():
        return samples, center, norm
    wide = samples.double()
    spread = (wide[:, extreme] - wide[0, extreme]).abs().amax(0)
    scale = torch.ones_like(norm)
    scale[extreme] = torch.where(spread > 0, power_of_two(spread), 1.0)
    if (scale == 1).all():
        return samples, center, norm
    scaled = (wide / scale).to(samples.dtype)
    return scaled, *center_and_norm(scaled)


def _all_in_range(norm: Tensor, *, zeros: bool) -> bool:
    """At one look, which is enough for most samples: false also if a norm is NaN, or 0 where that is not allowed."""
    low, high = torch.aminmax(torch.where(norm == 0, 1.0, norm) if zeros else norm)
    return bool(low >= 1 / REACH) and bool(high <= REACH)


class Affine(NamedTuple):
    """What to do to units: (value − coarse − fine)·inverse, or 0 where the inverse is 0, whatever the value."""

    coarse: Tensor
    fine: Tensor
    inverse: Tensor


def normalize(samples: Tensor, first: int, affine: Affine, out: Tensor) -> None:
    """Write the units from ``first`` on to ``out``, changed so."""
    if _compiles(samples):
        from .centering_numba import normalize_rows

        coarse, fine, inverse = (one.numpy() for one in affine)
        normalize_rows(samples.numpy(), first, coarse, fine, inverse, out.numpy())
        return
    dead = affine.inverse == 0
    values = samples[:, first : first + out.shape[1]]
    n_rows = _rows_at_a_time(values)
    for part, room in zip(values.split(n_rows), out.split(n_rows), strict=True):
        centered = (part.to(affine.coarse.dtype) - affine.coarse).sub_(affine.fine)
        room.copy_(centered.mul_(affine.inverse).masked_fill_(dead, 0.0))


def _rows_at_a_time(samples: Tensor) -> int:
    elements = ELEMENTS_AT_A_TIME if samples.device.type == "cpu" else MANY_ELEMENTS
    return max(1, elements // samples.shape[1])


def _compiles(samples: Tensor) -> bool:
    """Whether compiled loops can read them: in the host's memory, of a type that numpy has, row by row."""
    known = samples.dtype in (torch.float32, torch.float64) and not samples.is_neg()
    return known and samples.device.type == "cpu" and samples.is_contiguous() and samples.numel() > 0
