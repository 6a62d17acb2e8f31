"""What readers take in, and how much errors there move the network's outputs: one pass forward and backward."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...stats._base.wording import plural
from ..loading.batches import batch_length, forward
from ..surgery.cut_groups import named_tensors
from ..surgery.output_change import numbers
from ..wiring.dimensions import Dimension
from .contraction import Contraction, put
from .cutting import along_axis, kept_columns
from .elimination import Inputs, ridge_for, solved
from .free_groups import Coupled, Free, Reader, Structure
from .watching import Watch, running

WIDE = 4096
"""A convolution with more columns than this has one set of statistics for all its taps."""
ROWS = 40_000
"""Rows of a batch beyond this many are sampled evenly."""


NOT_FINITE = (
    "the model puts out NaN or infinity for some of the data, so an error can't be measured; look for such numbers in "
    "the data and the weights, or run it in a wider dtype"
)


class Statistics:
    """Second moments of what readers take in, and the sensitivity of the outputs to it.

    Args:
        net: the network, whose parameters all require gradients.
        structure: what can be cut.
        readers: names of those to look at.
        seed: of the random projections of the outputs.

    Attributes:
        spread: variance of the outputs over samples, summed over their entries.
    """

    def __init__(self, net: nn.Module, structure: Structure, readers: Iterable[str], *, seed: int) -> None:
        self._net, self._structure = net, structure
        self._readers = {name: structure.readers[name] for name in readers}
        self._coupled: dict[str, list[Free]] = defaultdict(list)
        for one in structure.groups.values():
            if one.coupled is not None:
                self._coupled[one.coupled.maker].append(one)
        self._outputs: dict[str, list[Tensor]] = {}
        self._together: dict[str, Tensor] = {}
        self._heads = {one.source for one in self._readers.values()}
        self._generator = torch.Generator().manual_seed(seed)
        self._second: dict[str, list[Tensor]] = {}
        self._rows: dict[str, list[int]] = {}
        self._center: dict[str, list[Tensor]] = {}
        self._gradients: dict[str, list[Tensor]] = {}
        self._layout: dict[str, Contraction] = {}
        self._n, self._batch = 0, 1
        self._sums: dict[tuple[int, int], tuple[int, Tensor, Tensor]] = {}  # by output and number of units
        self.spread = 0.0

    def run(self, batches: Iterable[Any], advance: Callable[[int], None] = lambda n: None) -> None:
        """Run the network over data.

        Raises:
            ValueError: if the network puts out no floating-point numbers that depend on its parameters.
        """
        watch = Watch(self._net, self._see, self._see_gradient)
        for batch in batches:
            n = batch_length(batch)
            watch.backward, self._batch = False, n
            with running(self._net, gradients=True), watch:
                outputs = [one for one in numbers(forward(self._net, batch)) if one.requires_grad]
                if not outputs:
                    raise ValueError("the model's outputs have no gradient, so what an error does to them is not known")
                if not all(bool(one.isfinite().all()) for one in outputs):
                    raise ValueError(NOT_FINITE)
                loss = outputs[0].new_zeros(())
                for one in outputs:
                    noise = torch.randn(one.shape, generator=self._generator).to(one)
                    loss = loss + (one * noise).sum()
                watch.backward = True
                loss.backward()
            for parameter in self._net.parameters():
                parameter.grad = None
            self._add_spread([one.detach() for one in outputs], n)
            self._n += n
            advance(n)
        total = 0.0
        for count, sums, squares in self._sums.values():
            total += float((squares - sums.square() / max(1, count)).clamp_min(0).sum())
        self.spread = total / self._n

    def _add_spread(self, outputs: list[Tensor], n: int) -> None:
        """Add to the variance of each unit of the outputs, over samples and positions."""
        for k, one in enumerate(outputs):
            flat = one.double().reshape(-1, one.shape[-1]) if one.dim() > 1 else one.double().reshape(-1, 1)
            zeros = flat.new_zeros(flat.shape[1])
            count, sums, squares = self._sums.get((k, flat.shape[1]), (0, zeros, zeros))
            added = count + len(flat), sums + flat.sum(0), squares + flat.square().sum(0)
            self._sums[k, flat.shape[1]] = added

    def _see(self, name: str, one: Contraction, run: Callable[[], Tensor]) -> Tensor:
        output = run()
        if name in self._coupled:
            self._outputs[name] = one.output_rows(output.detach()) or []
        if name in self._readers:
            self._layout[name] = one
        if name in self._heads:
            with torch.no_grad():
                self._add(name, [self._pooled(rows, one) for rows in one.rows()])
        return output

    def _add(self, name: str, blocks: list[Tensor]) -> None:
        if name not in self._second:
            sizes = [rows.shape[1] + 1 for rows in blocks]
            self._second[name] = [torch.zeros(size, size, dtype=torch.float64) for size in sizes]
            self._rows[name] = [0] * len(blocks)
            self._center[name] = [precise(rows.detach()).mean(0).nan_to_num() for rows in blocks]
        for k, rows in enumerate(blocks):
            rows = precise(sampled(rows.detach())) - self._center[name][k]
            rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
            self._second[name][k] += (rows.T @ rows).double().cpu()
            self._rows[name][k] += len(rows)

    def _see_gradient(self, name: str, blocks: list[Tensor]) -> None:
        for group in self._coupled.get(name, ()):
            self._add_together(group, self._outputs.get(name, []), blocks)
        if name not in self._readers:
            return
        if name not in self._gradients:
            self._gradients[name] = [torch.zeros(part.shape[1], part.shape[1], dtype=torch.float64) for part in blocks]
        for k, rows in enumerate(blocks):
            few = precise(sampled(rows.detach()))
            weight = len(rows) / max(1, len(few))
            self._gradients[name][k] += weight * (few.T @ few).double().cpu()

    def _add_together(self, group: Free, outputs: list[Tensor], gradients: list[Tensor]) -> None:
        """Add what each unit adds to the output: the sum of its entries times their gradients, over a sample's rows."""
        assert group.coupled is not None
        total = self._together.setdefault(group.name, torch.zeros(group.n_units, group.n_units, dtype=torch.float64))
        for labels, rows, gradient in zip(group.coupled.outputs, outputs, gradients, strict=False):
            here = labels >= 0
            if rows.shape == gradient.shape and bool(here.any()):
                moved = (rows.detach() * gradient.detach())[:, here].double().cpu()
                by_unit = moved.new_zeros(len(moved), group.n_units).index_add_(1, labels[here], moved)
                if len(moved) % self._batch == 0:
                    by_unit = by_unit.view(self._batch, -1, group.n_units).sum(1)
                total += by_unit.T @ by_unit

    def together(self, group: Free) -> Tensor | None:
        """Return mean products of what units add to the output; None if they are not multiplied with one another."""
        return self._together[group.name] / self._n if group.name in self._together else None

    def inputs(self, group: Free) -> list[Inputs]:
        """Return the inputs of a group's readers, those of one source together.

        Raises:
            ValueError: if a reader saw too few rows.
        """
        by_source: dict[str, list[Reader]] = defaultdict(list)
        for name in group.readers:
            by_source[self._structure.readers[name].source].append(self._structure.readers[name])
        found = []
        for source, readers in by_source.items():
            constant = all(one.absorber for one in readers)
            for k in range(len(self._second.get(source, ()))):
                one = self._inputs(group, source, readers, k, constant=constant)
                if one is not None:
                    found.append(one)
        if not found and group.readers:
            raise ValueError(f"the units of {group.name!r} were read in no sample of the data")
        return found

    def _inputs(self, group: Free, source: str, readers: list[Reader], k: int, *, constant: bool) -> Inputs | None:
        labels = self._labels(readers[0], group, k)
        n_rows = self._rows[source][k]
        if n_rows == 0 or not bool((labels >= 0).any()):
            return None
        if n_rows < 2:
            raise ValueError(f"{source} was seen in {plural(n_rows, 'row')}; at least two are needed")
        second = self._moments(source, k)
        if not constant:
            second = second[:-1, :-1]
        sensitivity = sum(self._sensitivity(one.name, k) for one in readers)
        assert isinstance(sensitivity, Tensor)
        units = labels[labels >= 0].unique()
        columns = torch.stack([(labels == unit).nonzero()[:, 0] for unit in units])
        return Inputs(second, sensitivity, units, columns, ridge_for(n_rows, len(sensitivity)))

    def _moments(self, source: str, k: int) -> Tensor:
        """Return mean second moments of a reader's inputs, with a last row and column of their means.

        They were summed about the means of the first batch: a sum about 0 would lose what is small beside a mean.
        """
        back = torch.eye(len(self._second[source][k]), dtype=torch.float64)
        back[:-1, -1] = self._center[source][k].double().cpu()
        return back @ (self._second[source][k] / self._rows[source][k]) @ back.T

    def _labels(self, reader: Reader, group: Free, k: int) -> Tensor:
        labels, one = reader.columns[group.leaf][k], self._layout[reader.name]
        return labels[:: _taps(one)] if self._wide(one) else labels

    def _sensitivity(self, name: str, k: int) -> Tensor:
        """Return Wᵀ G W of a reader, with G the second moment of the gradients at its outputs."""
        one = self._layout[name]
        weight = one.matrices(one.weight.detach())[k].double().cpu()
        gradient = self._gradients.get(name)
        middle = torch.eye(len(weight), dtype=torch.float64) if gradient is None else gradient[k] / self._n
        if not self._wide(one):
            return weight.T @ middle @ weight
        taps = weight.view(len(weight), -1, _taps(one))
        return sum(taps[:, :, t].T @ middle @ taps[:, :, t] for t in range(_taps(one)))  # pyright: ignore[reportReturnType]

    def _wide(self, one: Contraction) -> bool:
        return one.kind == "convolution" and one.weight[0].numel() > WIDE and _taps(one) > 1

    def _pooled(self, rows: Tensor, one: Contraction) -> Tensor:
        if not self._wide(one):
            return rows
        taps = _taps(one)
        few = sampled(rows, ROWS // taps + 1)
        return few.view(len(few), -1, taps).transpose(1, 2).reshape(-1, few.shape[1] // taps)

    def made_up(self, keep: Mapping[Dimension, Tensor]) -> dict[str, Tensor]:
        """Return readers' weights, of full size, that make up for units that go; those of removed units become 0.

        All are fitted apart, on the inputs that the network as it was has. Their effect predicts what a cut does.
        """
        tensors = named_tensors(self._net)
        found: dict[str, Tensor] = {}
        for name, reader in self._readers.items():
            one = self._layout.get(name)
            if one is None or not keep.keys() & reader.columns.keys() or reader.source not in self._second:
                continue
            new = tensors[name].detach().clone()
            view = new.as_strided(one.weight.size(), one.weight.stride(), one.weight.storage_offset())
            constant = bool(reader.absorber) and one.kind in ("linear", "convolution")
            made = [
                self._fitted(reader, one, k, keep, constant=constant) for k in range(len(self._second[reader.source]))
            ]
            put([weight.to(new) for weight, _ in made], replace(one, weight=view))
            found[name] = new
            if constant:
                self._add_constant(found, reader.absorber, torch.cat([added for _, added in made]))
        for group in self._structure.groups.values():
            if group.coupled is not None and group.leaf in keep:
                self._leave_out(found, group.coupled, keep[group.leaf])
        return found

    def _leave_out(self, found: dict[str, Tensor], one: Coupled, stays: Tensor) -> None:
        """Let nothing make units that go, of those that are multiplied with one another."""
        tensors = named_tensors(self._net)
        gone = (one.along >= 0) & ~torch.isin(one.along, stays)
        weight = found.get(one.maker, tensors[one.maker].detach())
        found[one.maker] = weight.masked_fill(along_axis(gone, one.axis, gone.new_empty(weight.shape)), 0)
        if one.bias and tensors[one.bias].shape == gone.shape:
            found[one.bias] = found.get(one.bias, tensors[one.bias].detach()).masked_fill(gone, 0)

    def _add_constant(self, found: dict[str, Tensor], absorber: str, added: Tensor) -> None:
        """Let a bias take a constant in; that of the batch norm, where its running mean would."""
        tensors = named_tensors(self._net)
        norm, _, last = absorber.rpartition(".")
        if last == "running_mean":
            module = self._net.get_submodule(norm)
            absorber = f"{norm}.bias"
            if absorber not in tensors:
                return
            deviation = (tensors[f"{norm}.running_var"] + getattr(module, "eps", 1e-5)).sqrt()
            added = added.to(deviation) * tensors[f"{norm}.weight"].detach() / deviation
        old = tensors[absorber].detach()
        if old.shape == added.shape:
            found[absorber] = found.get(absorber, old) + added.to(old)

    def _fitted(
        self, reader: Reader, one: Contraction, k: int, keep: Mapping[Dimension, Tensor], *, constant: bool
    ) -> tuple[Tensor, Tensor]:
        """Return a reader's full-sized matrix after a cut, and what is added to its outputs."""
        weight = one.matrices(one.weight.detach())[k].double().cpu()
        n_rows = self._rows[reader.source][k]
        taps = _taps(one) if self._wide(one) else 1
        stays = kept_columns(reader.columns, keep, k, weight.shape[1])[::taps]
        parts = weight.view(len(weight), -1, taps)
        new = torch.zeros_like(parts)
        added = weight.new_zeros(len(weight))
        if n_rows < 2 or not stays.any():
            return new.reshape(weight.shape), added
        second = self._moments(reader.source, k)
        mean = second[:-1, -1].clone()
        second = second[:-1, :-1] - (torch.outer(mean, mean) if constant else 0)
        inner = second[stays][:, stays]
        inner.diagonal().add_(ridge_for(n_rows, len(second)) * float(second.diagonal().mean()))
        mixing = solved(inner, second[stays][:, ~stays])
        for tap in range(taps):
            new[:, stays, tap] = parts[:, stays, tap] + parts[:, ~stays, tap] @ mixing.T
        if constant:
            added = (parts.sum(2) - new.sum(2)) @ mean
        return new.reshape(weight.shape), added


def _taps(one: Contraction) -> int:
    return one.weight[0, 0].numel() if one.kind == "convolution" else 1


def precise(rows: Tensor) -> Tensor:
    """Return rows in single precision at least."""
    return rows if rows.dtype == torch.float64 else rows.float()


def sampled(rows: Tensor, most: int = ROWS) -> Tensor:
    """Return rows spread evenly over all, at most so many."""
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most, device=rows.device).long()]
