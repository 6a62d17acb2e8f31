"""Products of a weight and data as matrix products: rows of inputs, and a matrix for each block of outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

Kind = Literal["linear", "batched", "grouped", "convolution", "transposed"]
OPERANDS: Mapping[str, tuple[int, int]] = {
    "aten::mm": (0, 1),
    "aten::bmm": (0, 1),
    "aten::mv": (0, 1),
    "aten::dot": (0, 1),
    "aten::addmm": (1, 2),
    "aten::addmv": (1, 2),
    "aten::baddbmm": (1, 2),
    "aten::convolution": (0, 1),
    "aten::_grouped_mm": (0, 1),
}
"""The operations that are linear in a weight, and which of their arguments are multiplied."""


@dataclass(frozen=True)
class Contraction:
    """An operation that sums over an axis of a weight.

    Its rows are positions: samples, tokens or pixels. A convolution in groups, a mixture of experts and a batched
    product have several blocks, which share neither inputs nor outputs. A matrix has shape (n_outputs, n_columns); the
    columns of a convolution are its channels times its taps.

    Attributes:
        kind: how the weight is used.
        weight: as the operation got it; it may be a view of a parameter.
        data: what it is multiplied with.
        first: whether the weight is the left operand.
        args: all arguments.
    """

    kind: Kind
    weight: Tensor
    data: Tensor
    first: bool
    args: tuple[Any, ...]

    def matrices(self, like: Tensor | None = None) -> list[Tensor]:
        """Return a tensor of the weight's shape, by default the weight itself, as a matrix for each block."""
        weight = self.weight if like is None else like
        if self.kind == "linear":
            if weight.dim() == 1:
                return [weight[None]]
            return [weight if self.first else weight.T]
        if self.kind == "convolution":
            return list(weight.flatten(1).chunk(self._groups))
        if self.kind == "transposed":
            return [weight.flatten(1).T]
        blocks = weight[:1] if self._shared else weight
        return list(blocks if self.first else blocks.transpose(1, 2))

    def rows(self) -> list[Tensor]:
        """Return the inputs of each block, shape (n_rows, n_columns)."""
        if self.kind == "convolution":
            return self._windows(self.data)
        if self.kind == "transposed":
            return [self.data.movedim(1, -1).reshape(-1, self.data.shape[1])]
        return self._by_block(self.data)

    def output_rows(self, output: Tensor) -> list[Tensor] | None:
        """Return what the operation put out, shape (n_rows, n_outputs); None if its outputs overlap."""
        if self.kind == "transposed":
            return None
        if self.kind == "convolution":
            return list(output.movedim(1, -1).reshape(-1, output.shape[1]).chunk(self._groups, 1))
        return self._by_block(output)

    @property
    def adds(self) -> bool:
        """Whether the operation adds something to the product, such as a bias or the stream of a residual network."""
        at = 2 if self.kind in ("convolution", "transposed") else 3 if self.kind == "grouped" else None
        return len(self.args) > 2 if at is None else len(self.args) > at and self.args[at] is not None

    def products(self) -> list[Tensor]:
        """Return rows times matrices: the outputs of each block without what is added, shape (n_rows, n_outputs)."""
        return [x @ w.T for x, w in zip(self.rows(), self.matrices(), strict=True)]

    def _by_block(self, data: Tensor) -> list[Tensor]:
        """Return data whose features lie on the axis that the weight's side says, by block."""
        if self.kind == "linear":
            if data.dim() == 1:  # mv: a vector of features, or of rows with one feature each
                return [data[None] if data is self.data or self.first else data[:, None]]
            if data.dim() == 0:
                return [data[None, None]]
            return [data.T if self.first else data]
        if self.kind == "grouped":
            ends = [0, *self.args[2].tolist()]
            return [data[start:end] for start, end in pairwise(ends)]
        rows = data.transpose(1, 2) if self.first else data
        return [rows.reshape(-1, rows.shape[-1])] if self._shared else list(rows)

    @property
    def _groups(self) -> int:
        return self.args[8] if self.kind == "convolution" else 1

    @property
    def _shared(self) -> bool:
        """Whether a batched product uses one matrix for the whole batch."""
        return self.kind == "batched" and (self.weight.stride(0) == 0 or len(self.weight) == 1)

    def _windows(self, data: Tensor) -> list[Tensor]:
        stride, padding, dilation = (tuple(one) for one in self.args[3:6])
        return windows(data, self.weight.shape[2:], stride, padding, dilation, self._groups)

    def gradient_windows(self, gradient: Tensor) -> list[Tensor]:
        """Return the gradient of a convolution's output, one row for each of its rows."""
        if self.kind == "convolution":
            return list(gradient.movedim(1, -1).reshape(-1, gradient.shape[1]).chunk(self._groups, 1))
        stride, padding, dilation = (tuple(one) for one in self.args[3:6])
        return windows(gradient, self.weight.shape[2:], stride, padding, dilation, 1)


def per_axis(values: Sequence[int], n: int, default: int = 1) -> list[int]:
    """Return a number for each of n axes; torch takes one for all too, or none."""
    return [*(values or [default])] * (n if len(values) < n else 1)


def windows(
    data: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> list[Tensor]:
    """Return the windows that a convolution sees, shape (n_rows, n_channels * n_taps) for each of its groups.

    Example:
        >>> windows(torch.arange(4.0).view(1, 1, 4), [3], [1], [0], [1], 1)
        [tensor([[0., 1., 2.],
                [1., 2., 3.]])]
    """
    n = len(kernel)
    stride, padding, dilation = per_axis(stride, n), per_axis(padding, n, 0), per_axis(dilation, n)
    x = functional.pad(data, [one for width in reversed(padding) for one in (width, width)])
    for axis, (size, step, apart) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = x.unfold(2 + axis, (size - 1) * apart + 1, step)
        x = x[..., ::apart]
    order = (0, *range(2, 2 + n), 1, *range(2 + n, 2 + 2 * n))
    by_row = x.permute(order).flatten(0, n)
    return [part.flatten(1) for part in by_row.chunk(groups, 1)]


NameOf = Callable[[Any], str | None]
"""The parameter that an argument is, or is a view of."""


def contraction_of(function: Any, args: tuple[Any, ...], name_of: NameOf) -> tuple[str, Contraction] | None:
    """Return the parameter that takes data in, and how; None if the operation is no such product."""
    operation = function._schema.name
    if operation not in OPERANDS:
        return None
    first, second = OPERANDS[operation]
    for at, other in ((first, second), (second, first)):
        name = name_of(args[at])
        if name and not name_of(args[other]):
            kind = _kind(operation, args, at)
            return None if kind is None else (name, Contraction(kind, args[at], args[other], at == first, args))
    return None


def _kind(operation: str, args: tuple[Any, ...], at: int) -> Kind | None:
    if operation == "aten::convolution":
        if at != 1:
            return None
        return "convolution" if not args[6] else "transposed" if args[8] == 1 else None
    if operation == "aten::_grouped_mm":
        return "grouped" if at == 1 and len(args) > 2 and args[2] is not None and args[1].dim() == 3 else None
    return "batched" if args[at].dim() == 3 else "linear"


def columns_of(labels: Tensor, parameter: Tensor, one: Contraction) -> list[Tensor] | None:
    """Return the label of each column of each block.

    Args:
        labels: a number for each entry of a parameter, in its shape.
        parameter: the parameter.
        one: how it takes data in.

    Returns:
        Int64, shape (n_columns,) for each block; None if a column's entries have different labels.
    """
    found = [matrix[:1] if bool((matrix == matrix[:1]).all()) else None for matrix in viewed(labels, parameter, one)]
    return None if any(one is None for one in found) else [one[0].long() for one in found if one is not None]


def outputs_of(labels: Tensor, parameter: Tensor, one: Contraction) -> list[Tensor] | None:
    """Return the label of each output of each block, as `columns_of` does for columns."""
    found = [
        matrix[:, :1] if bool((matrix == matrix[:, :1]).all()) else None for matrix in viewed(labels, parameter, one)
    ]
    return None if any(part is None for part in found) else [part[:, 0].long() for part in found if part is not None]


def viewed(labels: Tensor, parameter: Tensor, one: Contraction) -> list[Tensor]:
    """Return numbers for each entry of a parameter as the matrices in which an operation uses these entries."""
    held = torch.empty_strided(parameter.shape, parameter.stride(), dtype=labels.dtype).copy_(labels)
    view = one.weight
    start = view.storage_offset() - parameter.storage_offset()
    return one.matrices(held.as_strided(view.size(), view.stride(), start))


def put(matrices: Sequence[Tensor], one: Contraction) -> None:
    """Write matrices into a weight in place; the inverse of `Contraction.matrices`."""
    for old, new in zip(one.matrices(one.weight.detach()), matrices, strict=True):
        if one.kind in ("convolution", "transposed"):
            break
        old.copy_(new)
    else:
        return
    flat = torch.cat(list(matrices)) if one.kind == "convolution" else matrices[0].T
    one.weight.detach().copy_(flat.reshape(one.weight.shape))
