"""Refit the readers of cut units, each toward what it put out in the network as it was."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ....stats._base.progress import progress
from ...loading.batches import batch_length, forward
from ...surgery.cut_groups import named_tensors
from ...wiring.dimensions import root
from ..contraction import Contraction, put, viewed
from ..cutting import Keep, alive_entries, along_axis, rescaled
from ..free_groups import Reader, Structure
from ..statistics import WIDE, precise, sampled
from ..watching import Watch, running
from .lockstep import Waiting, in_lockstep
from .ridge import Normal, Refit, Rows, refit, refit_wide

HELD = 5
"""Every so many batches, one chooses the ridge."""
ROWS_PER_COLUMN = 40
LEAST_ROWS = 20_000
WIDE_ROWS = 3000
MEMORY = 4e9
"""Bytes that the passes of all batches may hold at once; of more data than that, evenly spread batches are used."""
HELD_AT_ONCE = 12
"""A pass holds about so many tensors of the largest one's size, in both networks together."""
LARGEST = 100.0
"""A batch norm that scales by less than a hundredth is not asked to carry a correction."""


class Refitting:
    """Refits the readers of a smaller network.

    Args:
        net: the network as it was, in eval mode.
        smaller: the smaller one, in eval mode; its weights change in place.
        structure: of the network.
        keep: the units that stay.
        batches: the data, in memory.

    Attributes:
        few: readers with fewer than three rows for each column.
        ridges: what was chosen for each reader.
    """

    def __init__(
        self, net: nn.Module, smaller: nn.Module, structure: Structure, keep: Keep, batches: Sequence[Any]
    ) -> None:
        self._net, self._smaller, self._structure = net, smaller, structure
        self._keep = {root(leaf): units for leaf, units in keep.items()}
        self._batches = _within_memory(batches, structure.largest * HELD_AT_ONCE)
        self._tensors, self._new = named_tensors(net), named_tensors(smaller)
        self._alive: dict[str, Tensor] = {}
        self._factors = rescaled(structure, self._keep)
        self.few: list[str] = []
        self.ridges: dict[str, float | None] = {}

    def run(self) -> None:
        """Refit all readers whose inputs were cut, in the order of the network."""
        wanted = self._downstream()
        several = [one.name for one in wanted if one.uses > 1]
        if several:
            self._refit_apart(several)
        once = [one.name for one in wanted if one.uses == 1]
        with progress("Refitting", len(once)) as advance:

            def solve(name: str, passes: Sequence[tuple[int, Waiting, Waiting]]) -> None:
                self._solve(name, passes)
                advance(1)

            residuals = {name: one.residual for name, one in self._structure.readers.items() if one.residual}
            in_lockstep((self._net, self._smaller), self._batches, once, solve, residuals)

    def _downstream(self) -> list[Reader]:
        """Return the readers that come at or behind the first one whose inputs were cut: the error reaches them all."""
        readers = [one for one in self._structure.readers.values() if one.refits]
        cut = [k for k, one in enumerate(readers) if self._keep.keys() & one.columns.keys()]
        return readers[cut[0] :] if cut else []

    def _refit_apart(self, names: Sequence[str]) -> None:
        """Refit weights that are used several times, all at once, on the inputs that the network as it was has."""
        sums: dict[str, _Sums] = {}
        number = 0

        def see(name: str, one: Contraction, run: Any) -> Tensor:
            output = run()
            if name in names:  # at once: what comes later may change the tensors in place
                columns, outputs = self._masks(name, one)
                constant = bool(self._structure.readers[name].absorber)
                found = sums.setdefault(name, _Sums(columns, outputs, len(self._batches), constant=constant))
                wanted = self._wanted(name, one, output)
                for k, part in enumerate(one.rows()):
                    if columns[k].any():
                        found.add(k, part[:, columns[k]], wanted[k][:, outputs[k]], number)
            return output

        with running(self._net):
            for number, batch in enumerate(self._batches):  # noqa: B007 - see() reads it
                with Watch(self._net, see):
                    forward(self._net, batch)
        where: dict[str, Contraction] = {}

        def find(name: str, one: Contraction, run: Any) -> Tensor:
            if name in sums:
                where[name] = one
            return run()

        with running(self._smaller), Watch(self._smaller, find):
            forward(self._smaller, self._batches[0])
        for name, one in where.items():
            self._write(self._structure.readers[name], one, sums[name])

    def _masks(self, name: str, one: Contraction) -> tuple[list[Tensor], list[Tensor]]:
        """Return which columns and which outputs of each block stay."""
        if name not in self._alive:
            dimensions = self._structure.wiring.dimensions[name]
            self._alive[name] = alive_entries(dimensions, self._keep, self._tensors[name].shape)
        found = viewed(self._alive[name], self._tensors[name], one)
        return [part.any(0) for part in found], [part.any(1) for part in found]

    def _solve(self, name: str, passes: Sequence[tuple[int, Waiting, Waiting]]) -> None:
        if not passes:
            return
        one = passes[0][1].one
        columns, outputs = self._masks(name, one)
        constant = bool(self._structure.readers[name].absorber)
        sums = _Sums(columns, outputs, len(self._batches), constant=constant)
        blocks = [k for k, part in enumerate(columns) if part.any()]
        for number, first, second in passes:
            rows = second.one.rows()
            assert first.output is not None
            wanted = self._scaled(name, first.one, self._wanted(name, first.one, first.output))
            wanted = self._corrected(name, wanted, outputs, first, second)
            for at, k in enumerate(blocks):
                if at < len(rows) and len(rows[at]) == len(wanted[k]):
                    sums.add(k, rows[at], wanted[k], number)
        self._write(self._structure.readers[name], passes[0][2].one, sums)

    def _scaled(self, name: str, one: Contraction, wanted: list[Tensor]) -> list[Tensor]:
        """Return the outputs to reach with queries, say, as large as fewer of them have to be."""
        if name not in self._factors:
            return wanted
        made, factor = self._factors[name]
        parameter = self._tensors[name]
        each = viewed(along_axis(factor, made.axis, parameter).expand(parameter.shape), parameter, one)
        return [rows * part[:, 0] for rows, part in zip(wanted, each, strict=True)]

    def _corrected(
        self, name: str, wanted: Sequence[Tensor], outputs: Sequence[Tensor], first: Waiting, second: Waiting
    ) -> list[Tensor]:
        """Return the outputs to reach, of those that stay; where they go into a sum, that sum is reached.

        What is added differs in the two networks by what went wrong before: the residual stream's error. The reader
        makes up for it.
        """
        kept = [rows[:, part] for rows, part in zip(wanted, outputs, strict=True)]
        residual = self._structure.readers[name].residual
        if residual is None or first.added is None or second.added is None or len(kept) != 1:
            return kept
        scale = self._scale(residual.norm)
        a, b = (_as_rows(one.added, one.one) for one in (first, second) if one.added is not None)
        a = a[:, outputs[0]] if a.shape[1] == len(outputs[0]) else a
        if scale is None or a.shape != kept[0].shape or b.shape != kept[0].shape:
            return kept
        return [kept[0] + (a - b) * scale]

    def _scale(self, norm: str) -> Tensor | float | None:
        """Return by what a difference behind a batch norm is multiplied in front of it; None if that is unbounded."""
        if not norm:
            return 1.0
        module = self._smaller.get_submodule(norm)
        weight, variance = self._new.get(f"{norm}.weight"), self._new[f"{norm}.running_var"]
        deviation = (variance + getattr(module, "eps", 1e-5)).sqrt()
        scale = deviation if weight is None else deviation / weight.detach()
        return torch.where(scale.isfinite() & (scale.abs() < LARGEST * deviation), scale, torch.zeros_like(scale))

    def _wanted(self, name: str, one: Contraction, output: Tensor) -> list[Tensor]:
        """Return what each block of a reader has to put out: all of it if the bias is refitted, else the product."""
        if one.adds and not self._structure.readers[name].absorber:
            return one.products()
        rows = one.output_rows(output)
        return one.products() if rows is None else rows

    def _write(self, reader: Reader, one: Contraction, sums: "_Sums") -> None:
        """Solve for a reader's weight and write it into the smaller network."""
        old = one.matrices(one.weight.detach())
        solved = [sums.solve(k, weight) for k, weight in zip(sums.blocks, old, strict=True)]
        if not all(bool(part.weight.isfinite().all()) for part in solved):
            return
        with torch.no_grad():
            put([part.weight.to(one.weight) for part in solved], one)
            constants = [part.constant for part in solved if part.constant is not None]
            if len(constants) == len(solved):
                self._add(reader, one, torch.cat(constants))
        self.ridges[reader.name] = solved[0].ridge
        if sums.few:
            self.few.append(reader.name)

    def _add(self, reader: Reader, one: Contraction, constant: Tensor) -> None:
        """Let the bias take the constant in, or the batch norm behind the weight."""
        tensor = self._new[reader.absorber]
        if reader.absorber in dict(self._smaller.named_buffers(remove_duplicate=False)):
            tensor.sub_(constant.to(tensor))
            return
        bias = one.args[2] if one.kind == "convolution" else one.args[0]
        bias.detach().copy_(constant.to(bias).view(bias.shape))


def _within_memory(batches: Sequence[Any], bytes_per_sample: float) -> Sequence[Any]:
    """Return as many batches as fit, spread evenly; two at least, of which one chooses the ridges."""
    n = max(2, int(MEMORY / max(1.0, bytes_per_sample * max(map(batch_length, batches)))))
    if n >= len(batches):
        return batches
    return [batches[k * len(batches) // n] for k in range(n)]


def _as_rows(tensor: Tensor, one: Contraction) -> Tensor:
    """Return a tensor that is added to an operation's output, one row for each of its rows."""
    if one.kind == "convolution":
        return tensor.movedim(1, -1).reshape(-1, tensor.shape[1])
    return tensor.reshape(-1, tensor.shape[-1])


class _Sums:
    """Rows of all blocks of a reader: their sums, or the rows themselves where there are more columns than that."""

    def __init__(self, columns: Sequence[Tensor], outputs: Sequence[Tensor], n_batches: int, *, constant: bool) -> None:
        self._columns = [int(part.sum()) for part in columns]
        self._outputs = [int(part.sum()) for part in outputs]
        self._n_batches, self._constant = n_batches, constant
        self._centers: dict[int, tuple[Tensor, Tensor]] = {}
        self.blocks = [k for k, n in enumerate(self._columns) if n]
        self._parts: dict[tuple[int, bool], Normal | Rows] = {}
        self._n: dict[tuple[int, bool], int] = {}
        self.few = False

    def add(self, block: int, x: Tensor, y: Tensor, number: int) -> None:
        """Add rows of a batch."""
        n = self._columns[block]
        if not len(x):
            return
        wide = n > WIDE
        most = WIDE_ROWS if wide else max(LEAST_ROWS, ROWS_PER_COLUMN * n)
        held = self._n_batches > 1 and number % min(HELD, self._n_batches) == min(HELD, self._n_batches) - 1
        x, y = (precise(sampled(part, max(1, most // self._n_batches))) for part in (x, y))
        if self._constant:  # about means: a sum about 0 would lose what is small beside them
            a, b = self._centers.setdefault(block, (x.mean(0), y.mean(0)))
            x, y = x - a, y - b
        key = block, held
        if key not in self._parts:
            self._parts[key] = Rows() if wide else Normal.empty(n, self._outputs[block])
        self._parts[key].add(x, y)
        self._n[key] = self._n.get(key, 0) + len(x)

    def solve(self, block: int, old: Tensor) -> Refit:
        """Return the weight of a block: the old one if it had no rows to fit or to choose by, such as a rare expert."""
        fit, held = self._parts.get((block, False)), self._parts.get((block, True))
        self.few |= self._n.get((block, False), 0) < 3 * self._columns[block]
        if fit is None or held is None:
            return Refit(old.double(), None, None)
        if isinstance(fit, Rows) and isinstance(held, Rows):
            found = refit_wide(fit, held, old, constant=self._constant)
        else:
            assert isinstance(fit, Normal)
            assert isinstance(held, Normal)
            found = refit(fit, held, old, constant=self._constant)
        if found.constant is not None:
            a, b = self._centers[block]
            found.constant += b.double() - found.weight @ a.double()
        return found
