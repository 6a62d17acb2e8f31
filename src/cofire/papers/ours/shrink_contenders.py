"""What `cofire.shrink` is compared with: orders of units, cut at the same share everywhere, with or without a refit."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, lcm
from typing import Any

import torch
from torch import Tensor, nn

from ...nets.loading.batches import arguments, forward
from ...nets.loading.eval_mode import evaluating
from ...nets.shrinking.contraction import Contraction
from ...nets.shrinking.cutting import cut_out, cuttable
from ...nets.shrinking.data import in_memory
from ...nets.shrinking.elimination import eliminate
from ...nets.shrinking.free_groups import Free, Structure, structure
from ...nets.shrinking.refit.refitting import Refitting
from ...nets.shrinking.statistics import Statistics
from ...nets.shrinking.watching import Watch, running
from ...nets.surgery.copies import copied
from ...nets.surgery.cut_groups import named_tensors
from ...nets.surgery.tensor_axes import units_along
from ...nets.wiring.dimensions import Dimension, leaves

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is cut by a contender.

    Attributes:
        net: a copy in eval mode.
        structure: its groups.
        lots: the groups that are cut, those in one list that are tied.
        batches: the calibration data.
    """

    net: nn.Module
    structure: Structure
    lots: Sequence[Sequence[Free]]
    batches: Sequence[Any]

    @classmethod
    def of(cls, model: nn.Module, data: Tensor) -> "Subject":
        """Find what can be cut. Sizes within heads stay: a fixed share of both would cut attention twice."""
        net, batches = copied(model).eval(), in_memory(data)
        known = structure(net, batches[0])
        lots, _ = cuttable(net, known, arguments(net, batches[0]))
        return cls(net, known, [some for some in lots if not any(one.coupled for one in some)], batches)

    @property
    def groups(self) -> list[Free]:
        """All groups that are cut."""
        return [one for some in self.lots for one in some]


Orders = Mapping[str, Tensor]
"""For each group the order in which its units go, the first to go first."""


def random(subject: Subject, seed: int) -> Orders:
    """Return a random order."""
    generator = torch.Generator().manual_seed(seed)
    return {one.name: torch.randperm(one.n_units, generator=generator) for one in subject.groups}


def magnitude(subject: Subject, seed: int) -> Orders:
    """Return the order of the norms of incoming weights."""
    return {one.name: _squares(subject, one, one.makers).argsort() for one in subject.groups}


def group_norm(subject: Subject, seed: int) -> Orders:
    """Return the order of the norms of all that goes with a unit: what makes it, reads it and rides on it."""
    return {one.name: _squares(subject, one, subject.structure.learned).argsort() for one in subject.groups}


def wanda(subject: Subject, seed: int) -> Orders:
    """Return the order of the sums of absolute weights that read a unit, each times the rms of its input.

    After Sun et al. (2024), who remove single weights by these products.
    """
    readers, squares, layouts = subject.structure.readers, defaultdict[tuple[str, int], Any](float), {}
    rows_seen: dict[tuple[str, int], int] = defaultdict(int)

    def see(name: str, one: Contraction, run: Callable[[], Tensor]) -> Tensor:
        if name in readers:
            layouts[name] = [part.abs().sum(0).double() for part in one.matrices(one.weight.detach())]
            for block, rows in enumerate(one.rows()):
                squares[name, block] += rows.double().square().sum(0)
                rows_seen[name, block] += len(rows)
        return run()

    with running(subject.net):
        for batch in subject.batches:
            with Watch(subject.net, see):
                forward(subject.net, batch)
    found = {}
    for group in subject.groups:
        total = torch.zeros(group.n_units, dtype=torch.float64)
        for name in group.readers:
            for block, labels in enumerate(readers[name].columns[group.leaf]):
                rms = (squares[name, block] / max(1, rows_seen[name, block])) ** 0.5
                here = labels >= 0
                total.index_add_(0, labels[here], (layouts[name][block] * rms)[here])
        found[group.name] = total.argsort()
    return found


def elimination(subject: Subject, seed: int) -> Orders:
    """Return the order of `cofire.shrink`: backward elimination, weighted by the outputs' sensitivity."""
    readers = dict.fromkeys(name for one in subject.groups for name in one.readers)
    statistics = Statistics(subject.net, subject.structure, readers, seed=seed)
    with evaluating(subject.net):
        statistics.run(subject.batches)
    return {one.name: eliminate(statistics.inputs(one), one.n_units).order for one in subject.groups}


ORDERS: dict[str, Callable[[Subject, int], Orders]] = {
    "random": random,
    "magnitude": magnitude,
    "group norm": group_norm,
    "wanda": wanda,
    "elimination, uniform": elimination,
}


def _squares(subject: Subject, group: Free, names: Sequence[str]) -> Tensor:
    """Return the sum of squares of each unit's entries of some parameters."""
    tensors, total = named_tensors(subject.net), torch.zeros(group.n_units, dtype=torch.float64)
    for name in names:
        for axis, dimension in enumerate(subject.structure.wiring.dimensions.get(name, ())):
            units = units_along(dimension, group.leaf) if group.leaf in leaves(dimension) else None
            if units is not None:
                slices = tensors[name].detach().double().movedim(axis, 0).reshape(len(units), -1).square().sum(1)
                total.index_add_(0, units[units >= 0], slices[units >= 0])
    return total


def uniform_sizes(subject: Subject, share: float) -> dict[Dimension, int]:
    """Return the same share of all groups, as large as it can be for a share of the parameters.

    What rounding leaves of the budget goes to groups in the order of what they were rounded down by.
    """
    whole = subject.structure.count({})

    def steps(lot: Sequence[Free]) -> int:
        n = gcd(*(one.n_units for one in lot))
        own = [subject.structure.steps.get(one.name, 1) for one in lot]
        return n // lcm(*(step // gcd(step, one.n_units // n) for step, one in zip(own, lot, strict=True)))

    def sizes(numbers: Sequence[int]) -> dict[Dimension, int]:
        lots = zip(subject.lots, numbers, strict=True)
        return {one.leaf: one.n_units * number // steps(lot) for lot, number in lots for one in lot}

    def fits(numbers: Sequence[int]) -> bool:
        return subject.structure.count(sizes(numbers)) <= share * whole

    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        fit = fits([max(1, int(middle * steps(lot))) for lot in subject.lots])
        low, high = (middle, high) if fit else (low, middle)
    numbers = [max(1, int(low * steps(lot))) for lot in subject.lots]
    rests = [low * steps(lot) - number for lot, number in zip(subject.lots, numbers, strict=True)]
    for k in sorted(range(len(numbers)), key=lambda k: -rests[k]):
        more = [number + (at == k) for at, number in enumerate(numbers)]
        if more[k] <= steps(subject.lots[k]) and fits(more):
            numbers = more
    return sizes(numbers)


def smaller_networks(subject: Subject, orders: Orders, share: float) -> Iterator[tuple[str, nn.Module]]:
    """Yield the network cut to a share of its parameters: as it is, refitted, and with batch norms recalibrated."""
    sizes = uniform_sizes(subject, share)
    keep = {
        one.leaf: orders[one.name][one.n_units - sizes[one.leaf] :].sort().values
        for one in subject.groups
        if sizes[one.leaf] < one.n_units
    }
    smaller = copied(subject.net)
    cut_out(smaller, subject.structure, keep)
    yield "as it is", smaller
    if has_batch_norms(smaller):
        yield "batch norms", recalibrated(smaller, subject.batches)
    refitted = copied(smaller)
    with evaluating(refitted):
        Refitting(subject.net, refitted, subject.structure, keep, subject.batches).run()
    yield "refit", refitted


def has_batch_norms(net: nn.Module) -> bool:
    """Return whether a network has batch norms."""
    return any(isinstance(one, BATCH_NORMS) for one in net.modules())


@torch.no_grad()
def recalibrated(net: nn.Module, batches: Sequence[Any]) -> nn.Module:
    """Return a copy whose batch norms have the means and variances of the data in this network."""
    new = copied(net).eval()
    norms = [one for one in new.modules() if isinstance(one, BATCH_NORMS)]
    momenta = [one.momentum for one in norms]
    for one in norms:
        one.reset_running_stats()
        one.momentum = None  # the mean over all batches
        one.train()
    for batch in batches:
        forward(new, batch)
    for one, momentum in zip(norms, momenta, strict=True):
        one.momentum = momentum
    return new.eval()
