"""Tiles of the correlation matrix of samples in memory, without a copy of the samples."""

import math
from collections.abc import Iterator
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from .._base.definitions import are_dead
from .._base.scaling import power_of_two
from .pair_tiles import Tile, blocks

ROWS_A_PRODUCT = 4096
ELEMENTS_AT_A_TIME, MANY_ELEMENTS = 1 << 17, 1 << 24  # on the CPU, to stay in cache, and elsewhere
PANEL_BYTES, HELD_UNITS = 16 << 20, 2048  # limits of the panel of units that is kept centered
REACH = 1e30  # norms between 1 / REACH and REACH have an inverse and a square in float32 and in float64


class InMemory:
    """Samples (n_samples, n_units), their means and norms, and the tiles of their correlations.

    Args:
        samples: samples of any real type, on any device.
        compute: type of the products.
        work: type in which samples are centered.

    Attributes:
        defined: units with a correlation, bool, shape (n_units,).
        n_constant: number of units that never varied; 0 before the second sample.
        n_nonfinite: number of units that met a NaN or an infinity.
    """

    def __init__(self, samples: Tensor, compute: torch.dtype, work: torch.dtype) -> None:
        self.compute, self.work = compute, work
        self.samples, self.center, self.norm = _in_range(samples, *center_and_norm(samples))
        varies = (self.norm > 0) & (self.norm < math.inf)
        n_varying, n_dead = torch.stack([varies, are_dead(self.norm)]).sum(1).tolist()
        self.defined = varies if len(samples) > 1 else torch.zeros_like(varies)
        self.n_constant = n_dead if len(samples) > 1 else 0
        self.n_nonfinite = samples.shape[1] - n_varying - n_dead if len(samples) else 0
        # the mean is subtracted in two steps, so that float32 loses no digits to a large mean
        coarse = self.center.to(work)
        inverse = self.norm.reciprocal().masked_fill_(~self.defined, 0.0)
        self._affine = Affine(coarse, (self.center - coarse).to(work), inverse.to(work))

        _, self._width = blocks(samples.shape[1], samples.device)
        bytes_a_unit = max(1, len(samples) * compute.itemsize)
        self._step = self._width * max(1, min(HELD_UNITS, PANEL_BYTES // bytes_a_unit) // self._width)

    def standardized(self, rows: Tensor) -> Tensor:
        """Return chosen rows, with mean 0 and variance 1 over all rows; 0 for undefined units."""
        if self._in_one_panel:
            chosen = self._whole[rows]
        else:
            chosen = self._normalized(self.samples[rows], 0, self.samples.shape[1], self._room())
        return chosen.mul_(math.sqrt(max(len(self.samples) - 1, 1)))

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles, centering the samples a panel of units at a time, anew in each pass if there are several.

        Each strip of the panel is multiplied with the units of the panel from there on, then the whole panel with each
        block of units after it.
        """
        n_units, width, step = self.samples.shape[1], self._width, self._step
        product, panel, behind = (self._room() for _ in range(3))
        for first in range(0, n_units, step):
            last = min(first + step, n_units)
            held = self._whole if self._in_one_panel else self._normalized(self.samples, first, last, panel)
            for row in range(first, last, width):
                strip = held[:, row - first :]
                yield Tile(row, row, transposed_product(strip[:, :width], strip, product))
            for column in range(last, n_units, width):
                other = self._normalized(self.samples, column, min(column + width, n_units), behind)
                yield Tile(first, column, transposed_product(held, other, product))

    @property
    def _in_one_panel(self) -> bool:
        return self._step >= self.samples.shape[1]

    @cached_property
    def _whole(self) -> Tensor:
        return self._normalized(self.samples, 0, self.samples.shape[1], self._room())

    def _room(self) -> "Room":
        return Room(self.compute, self.samples.device)

    def _normalized(self, samples: Tensor, first: int, last: int, room: "Room") -> Tensor:
        """Return units ``first`` to ``last``, centered and of norm 1, shape (n_samples, last - first)."""
        out = room.for_matrix(len(samples), last - first)
        normalize(samples, first, Affine(*(one[first:last] for one in self._affine)), out)
        return out


class Room:
    """Memory that is reused for one matrix after the other: touching fresh memory costs as much as a product."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._held: Tensor | None = None

    def for_matrix(self, height: int, width: int) -> Tensor:
        """Return an uninitialized matrix, shape (height, width), in place of the one before."""
        if self._held is None or len(self._held) < height * width:
            self._held = torch.empty(height * width, dtype=self._dtype, device=self._device)
        return self._held[: height * width].view(height, width)


def transposed_product(left: Tensor, right: Tensor, room: Room) -> Tensor:
    """Return leftᵀ·right, summed in float64 over stretches of rows, so that float32 keeps its precision over many."""
    product = room.for_matrix(left.shape[1], right.shape[1])
    if len(left) <= ROWS_A_PRODUCT:
        return torch.mm(left.T, right, out=product)
    total = torch.zeros_like(product, dtype=torch.float64)
    for a, b in zip(left.split(ROWS_A_PRODUCT), right.split(ROWS_A_PRODUCT), strict=True):
        total += torch.mm(a.T, b, out=product)
    return product.copy_(total)


def center_and_norm(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return each unit's mean and the norm of its deviations, in float64; a constant unit has norm exactly 0."""
    if len(samples) == 0:
        nothing = torch.full((samples.shape[1],), torch.nan, dtype=torch.float64, device=samples.device)
        return nothing, nothing
    return (_center_and_norm_compiled if _compiles(samples) else _center_and_norm_by_tensors)(samples)


def _center_and_norm_by_tensors(samples: Tensor) -> tuple[Tensor, Tensor]:
    shift = samples[0].double()
    chunks = samples.split(_rows_at_a_time(samples))
    offset = reduce(torch.add, [(chunk - shift).sum(0) for chunk in chunks]) / len(samples)
    norms = [torch.linalg.vector_norm((chunk - shift).sub_(offset), dim=0) for chunk in chunks]
    return shift + offset, reduce(torch.hypot, norms)


def _center_and_norm_compiled(samples: Tensor) -> tuple[Tensor, Tensor]:
    # imported on first use: loading numba takes longer than reading most samples
    from .centering_numba import find_center_and_norm

    found = torch.empty(2, samples.shape[1], dtype=torch.float64, device=samples.device)
    find_center_and_norm(samples.numpy(), *found.numpy())
    return found[0], found[1]


def _in_range(samples: Tensor, center: Tensor, norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the arguments, or a copy in which units of extreme scale are divided by a power of two."""
    if len(samples) < 2:
        return samples, center, norm
    double = samples.dtype == torch.float64
    # one look is enough for most samples; it also fails if a norm is NaN, or 0 where that may be an underflow
    low, high = (float(one) for one in torch.aminmax(norm if double else norm.masked_fill(norm == 0, 1.0)))
    if low >= 1 / REACH and high <= REACH:
        return samples, center, norm
    # only float64 holds values whose squares leave its range: a norm of 0 or infinity may then be due to the squares
    extreme = ((norm < 1 / REACH) | (norm > REACH)) & ((norm > 0) & norm.isfinite() | double)
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


class Affine(NamedTuple):
    """The map (value − coarse − fine)·inverse of each unit, or 0 where the inverse is 0, whatever the value."""

    coarse: Tensor
    fine: Tensor
    inverse: Tensor


def normalize(samples: Tensor, first: int, affine: Affine, out: Tensor) -> None:
    """Write the image of the units from ``first`` on to ``out``."""
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
    """Return whether compiled loops can read the samples: contiguous, in the host's memory, float32 or float64."""
    known = samples.dtype in (torch.float32, torch.float64) and not samples.is_neg()
    return known and samples.device.type == "cpu" and samples.is_contiguous() and samples.numel() > 0
