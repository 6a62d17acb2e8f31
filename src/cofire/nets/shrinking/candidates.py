"""What can be cut from a network, in which order, and at what cost."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

from torch import Tensor, nn

from ...stats._base.progress import progress
from ..loading.batches import arguments, forward
from ..loading.eval_mode import evaluating
from ..surgery.copies import copied, memory_shared
from ..surgery.output_change import shown
from ..wiring.dimensions import Dimension
from .allocation import Lot, allocate
from .cutting import allowed, cuttable, kind_of
from .data import n_samples
from .elimination import Elimination, eliminate
from .free_groups import Free, Structure, structure
from .shrunk import GroupCut
from .statistics import NOT_FINITE, Statistics

Per = Literal["parameters", "flops"]


@contextmanager
def prepared(model: nn.Module) -> Iterator[nn.Module]:
    """Yield a copy of a network in eval mode whose parameters all have gradients."""
    net = copied(model)
    for parameter in net.parameters():
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
    with evaluating(net):
        yield net


@dataclass(eq=False)
class Candidates:
    """What can be cut from a network, and what is known of it."""

    net: nn.Module
    model: nn.Module
    fit: list[Any]
    held: list[Any]
    structure: Structure
    lots: list[list[Free]]
    left: dict[str, str]
    per: Per
    step: dict[str, int]
    eliminations: dict[str, Elimination]
    spread: float = 0.0
    statistics: Statistics | None = None

    @classmethod
    def of(
        cls,
        net: nn.Module,
        model: nn.Module,
        fit: list[Any],
        held: list[Any],
        leave: set[str],
        *,
        per: Per,
        uniform: bool,
        round_to: int,
    ) -> "Candidates":
        """Find the groups that can be cut; nothing is computed for others."""
        first = fit[0]
        for batch in (first, *held):
            if not all(bool(one.isfinite().all()) for one in shown(forward(net, batch))):
                raise ValueError(NOT_FINITE)
        known = structure(net, first, tuple(memory_shared(model)))
        bundles, bad = cuttable(net, known, arguments(net, first)) if known.groups else ([], {})
        left = {**known.left, **bad}
        kinds: dict[Any, list[Free]] = defaultdict(list)
        for groups in bundles:
            if any(leave.intersection(one.layers) for one in groups):
                left.update({one.name: "left as asked" for one in groups})
                continue
            key = tuple((kind_of(one.name), one.n_units) for one in groups)
            kinds[key if uniform else groups[0].name] += groups
        lots = list(kinds.values())
        step = {one.name: max(round_to, known.steps.get(one.name, 1)) for some in lots for one in some}
        return cls(net, model, fit, held, known, lots, left, per, step, {})

    @property
    def groups(self) -> list[Free]:
        """All groups that may be cut."""
        return [one for some in self.lots for one in some]

    def learn(self, seed: int) -> None:
        """Learn in which order the units of each group go, and what that costs the outputs."""
        readers = dict.fromkeys(name for one in self.groups for name in one.readers)
        statistics = Statistics(self.net, self.structure, readers, seed=seed)
        with progress("Learning what layers need", n_samples(self.fit)) as advance:
            statistics.run(self.fit, advance)
        self.spread, self.statistics = statistics.spread, statistics
        with progress("Choosing units", sum(one.n_units for one in self.groups)) as advance:
            for one in self.groups:
                self.eliminations[one.name] = eliminate(
                    statistics.inputs(one), one.n_units, together=statistics.together(one), advance=advance
                )

    def whole_cost(self) -> float:
        """Return the cost of the network as it is."""
        return self.structure.count({}, per=self.per)

    def sizes(self, share: float) -> dict[str, int]:
        """Return the sizes of all groups at a share."""
        return allocate(
            [Lot.of(some, self.eliminations) for some in self.lots],
            self.structure.terms(self.per),
            budget=share * self.whole_cost(),
            steps=self.step,
        )

    def allowed_sizes(self, share: float) -> dict[str, int]:
        """Return the sizes at a share that the code allows; groups to which it doesn't allow theirs are left."""
        while refused := self.refused(sizes := self.sizes(share)):
            self.left.update(refused)
            self.lots = [some for some in self.lots if not any(one.name in refused for one in some)]
        return sizes

    def refused(self, sizes: Mapping[str, int]) -> dict[str, str]:
        """Return which groups can't have these sizes, with the reasons; all were tried at others."""
        keep = self.keep(sizes)
        return allowed(self.net, self.structure, self.lots, keep, arguments(self.net, self.fit[0]))[1] if keep else {}

    def share(self, sizes: Mapping[str, int]) -> float:
        """Return the share that sizes come to."""
        leafs = {one.leaf: sizes[one.name] for one in self.groups}
        return self.structure.count(leafs, per=self.per) / self.whole_cost()

    def keep(self, sizes: Mapping[str, int]) -> dict[Dimension, Tensor]:
        """Return the units that stay, for the groups that lose some."""
        return {
            one.leaf: self.eliminations[one.name].kept(sizes[one.name])
            for one in self.groups
            if sizes[one.name] < one.n_units
        }

    def cuts(self, sizes: Mapping[str, int]) -> dict[str, GroupCut]:
        """Return the cuts that sizes come to, by group."""
        found = {}
        for one in self.groups:
            order, n = self.eliminations[one.name], sizes[one.name]
            if n < one.n_units:
                share = float(order.error[one.n_units - n]) / self.spread if self.spread > 0 else float("nan")
                found[one.name] = GroupCut(one.layers, one.n_units, tuple(order.kept(n).tolist()), sqrt(share))
        return found

    def expected(self, sizes: Mapping[str, int]) -> float:
        """Return the relative error that the eliminations expect, in sample."""
        total = sum(float(self.eliminations[one.name].error[one.n_units - sizes[one.name]]) for one in self.groups)
        return sqrt(total / self.spread) if self.spread > 0 else float("nan")
