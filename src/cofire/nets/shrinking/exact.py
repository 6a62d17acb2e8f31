"""The exact case: the units that others explain go, and nothing changes but rounding."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil, gcd
from typing import Any

import torch
from torch import Tensor, nn

from ...stats._base.definitions import EXACT
from ...stats.redundancy.selection import Selection
from ..loading.batches import batch_length, forward
from ..surgery.cut_groups import named_tensors
from ..wiring.dimensions import Dimension
from .allocation import common_step
from .contraction import Contraction, put
from .free_groups import Free, Reader, Structure
from .watching import Watch, running

LEAST_SHARE = 1e-6
"""A unit's variance counts as at least this share of its second moment."""
ROUNDING = 16
"""A unit that varies by less than so many roundings of its mean is constant."""
COUPLED = "its units are multiplied with one another, so others can't make up for one"


def why_not(group: Free, readers: Mapping[str, Reader]) -> str:
    """Return why no unit of a group goes exactly; empty if the data decide."""
    if group.mixed:
        return f"its units are {group.mixed}, so none can go without changing the others"
    if group.coupled is not None:
        return COUPLED
    reader = next((name for name in group.readers if not readers[name].refits), "")
    return f"{reader} is used in other ways too, so it can't be changed" if reader else ""


class Explained:
    r"""Which units of each group others explain, as each reader takes them in.

    A unit h_r that a reader takes in as :math:`h_r = \sum_s a_{rs} h_s + b_r` is made up for by
    :math:`w_s ← w_s + a_{rs} w_r` and bias :math:`← bias + b_r w_r`. The a and b are least-squares coefficients on a
    greedily chosen set of units (:class:`~cofire.stats.redundancy.selection.Selection`). A reader without a bias, or
    that pads with zeros, takes up no constant: then units must be explained by others alone.

    Args:
        net: the network.
        structure: its groups and readers.
        groups: those to look at; `why_not` is empty for them.
    """

    def __init__(self, net: nn.Module, structure: Structure, groups: Iterable[Free]) -> None:
        self._net, self._readers = net, structure.readers
        self._groups = list(groups)
        self._sources: dict[str, list[Reader]] = defaultdict(list)
        for name in dict.fromkeys(name for one in self._groups for name in one.readers):
            reader = self._readers[name]
            self._sources[name if reader.uses > 1 else reader.source].append(reader)
        self._layouts: dict[str, Contraction] = {}
        self._seen: dict[tuple[str, Dimension], list[_Seen]] = {}

    def run(self, batches: Iterable[Any], advance: Callable[[int], None] = lambda n: None) -> None:
        """Run the network over data."""
        with running(self._net):
            for batch in batches:
                with Watch(self._net, self._see):
                    forward(self._net, batch)
                advance(batch_length(batch))

    def _see(self, name: str, one: Contraction, run: Any) -> Tensor:
        output = run()
        if name in self._readers:
            self._layouts[name] = one
        if name in self._sources:
            rows = _inputs(one)
            for leaf in {leaf for reader in self._sources[name] for leaf in reader.columns}:
                labels = next(reader.columns[leaf] for reader in self._sources[name] if leaf in reader.columns)
                seen = self._seen.setdefault((name, leaf), [_Seen.of(part[:: _taps(one)]) for part in labels])
                for part, block in zip(seen, rows, strict=True):
                    part.add(block)
        return output

    def stays(self, group: Free) -> Tensor:
        """Return the units that others don't explain in all that read them, ascending, shape (n_stay,)."""
        stays = torch.zeros(group.n_units, dtype=torch.bool)
        for source, readers in self._sources.items():
            for block, seen in enumerate(self._seen.get((source, group.leaf), ())):
                mine = [one for one in readers if group.leaf in one.columns]
                needed = torch.stack([self._needed(one.name, block, seen) for one in mine]).any(0)
                seen.choose(stays[seen.units], needed, constant=all(map(self._takes_constants, mine)))
                stays[seen.units] |= seen.stays
        stays[0] |= ~stays.any()
        return stays.nonzero()[:, 0]

    def _needed(self, name: str, block: int, seen: "_Seen") -> Tensor:
        """Return which units a reader's weights don't pass over."""
        one = self._layouts[name]
        matrix = one.matrices(one.weight.detach())[block]
        used = (matrix != 0).any(0).view(-1, _taps(one)).any(1)
        return used.cpu()[seen.columns].any(1)

    def _takes_constants(self, reader: Reader) -> bool:
        """Return whether a constant input adds the same to every output: no position sees padding instead."""
        one = self._layouts[reader.name]
        padded = one.kind == "convolution" and any(one.args[4])
        return bool(reader.absorber) and one.kind in ("linear", "convolution") and not padded

    def weights(self, keep: Mapping[Dimension, Tensor]) -> dict[str, Tensor]:
        """Return full-sized tensors in which the units that stay make up for the others, whose weights become 0.

        Args:
            keep: for each group's leaf the units that stay, ascending; others have been `stays`'s to remove.
        """
        tensors = named_tensors(self._net)
        changed: dict[str, Tensor] = {}
        for (source, leaf), blocks in self._seen.items():
            if leaf not in keep:
                continue
            for reader in self._sources[source]:
                if leaf not in reader.columns:
                    continue
                old = changed.get(reader.name, tensors[reader.name].detach())
                changed[reader.name], added = _made_up(old, self._layouts[reader.name], blocks, keep[leaf])
                if self._takes_constants(reader):
                    taken = changed.get(reader.absorber, tensors[reader.absorber].detach())
                    sign = -1 if reader.absorber in dict(self._net.named_buffers()) else 1
                    changed[reader.absorber] = (taken.double() + sign * added.view(taken.shape).to(taken.device)).to(
                        taken.dtype
                    )
        return changed


class _Seen:
    """Units as one block of a reader takes them in, and a choice of those that explain the others.

    A unit may have several columns, as a channel that is flattened with its positions has: each counts as a sample.

    Attributes:
        units: those that the block takes in, ascending, shape (n_present,).
        columns: their columns, shape (n_present, n_each).
        stays: which of them the choice leaves, bool, shape (n_present,).
    """

    def __init__(self, units: Tensor, columns: Tensor) -> None:
        self.units, self.columns = units, columns
        self.stays = torch.ones(len(units), dtype=torch.bool)
        self._n = 0
        self._center = torch.zeros(columns.shape, dtype=torch.float64)
        self._sums = torch.zeros(columns.shape, dtype=torch.float64)
        self._second = torch.zeros(len(units), len(units), dtype=torch.float64)
        self._eps = 0.0
        self._constant = False
        self._selection: Selection | None = None

    @classmethod
    def of(cls, labels: Tensor) -> "_Seen":
        """Return it for a block, given the unit of each column; -1 for none."""
        there = (labels >= 0).nonzero()[:, 0]
        columns = there[labels[there].argsort(stable=True)]
        units = labels[there].unique()
        return cls(units, columns.view(len(units), -1))

    def add(self, rows: Tensor) -> None:
        """Add rows of the block's inputs, shape (n_rows, n_columns)."""
        if not len(rows) or not len(self.units):
            return
        x = rows.detach()[:, self.columns.flatten().to(rows.device)].double().view(len(rows), *self.columns.shape)
        if not self._n:
            self._center = x.mean(0).nan_to_num().cpu()
            self._eps = torch.finfo(rows.dtype).eps
        x = x - self._center.to(x.device)  # about means: a sum about 0 would lose what is small beside them
        self._sums += x.sum(0).cpu()
        flat = x.movedim(1, 0).reshape(len(self.units), -1)
        self._second += (flat @ flat.T).cpu()
        self._n += len(rows)

    def choose(self, first: Tensor, needed: Tensor, *, constant: bool) -> None:
        """Choose units until these explain all that are needed.

        Args:
            first: units that stay anyway, bool, shape (n_present,).
            needed: units that the readers' weights don't pass over, bool, shape (n_present,).
            constant: whether all readers take up constants.
        """
        self._constant = constant
        if not len(self.units):
            return
        n, each = self._n, self.columns.shape[1]
        mean = self._sums / max(1, n)
        about_means = self._second - n * (mean @ mean.T)
        size = (self._center + mean).square().sum(1)
        still = about_means.diagonal() <= n * (ROUNDING * self._eps) ** 2 * size
        about_means = about_means.masked_fill(still[:, None] | still, 0.0)
        tolerance = torch.full((len(self.units),), EXACT, dtype=torch.float64)
        gram, freedom = about_means, (n - 1) * each
        if not constant:
            moved = self._sums @ self._center.T
            gram = self._second + moved + moved.T + n * (self._center @ self._center.T)
            freedom = n * each
            # Without a constant, selection works on second moments; a unit is still judged by its variance.
            varies = (about_means.diagonal().clamp_min(0) / gram.diagonal()).nan_to_num(1.0)
            tolerance = tolerance * varies.clamp(min=LEAST_SHARE)
        tolerance[~needed] = torch.inf
        self._selection = selection = Selection(gram / max(1, n), freedom=freedom)
        selection.choose_among(first.nonzero()[:, 0])
        selection.choose_until_explained(tolerance)
        self.stays = ~selection.explained
        self.stays[selection.chosen] = True

    def made_up(self, kept: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return how the chosen units make up for those that are not kept.

        Returns:
            The columns of the chosen ones, shape (n_chosen, n_each); those of the others, (n_gone, n_each); how the
            chosen ones combine into each other one, (n_chosen, n_gone); and constants to add, (n_gone, n_each).
        """
        gone = ~torch.isin(self.units, kept)
        chosen = [] if self._selection is None else self._selection.chosen
        mixing = torch.zeros(len(chosen), int(gone.sum()), dtype=torch.float64)
        if self._selection is not None:
            mixing = self._selection.coefficients()[:, gone]
        constant = torch.zeros(int(gone.sum()), self.columns.shape[1], dtype=torch.float64)
        if self._constant:
            mean = self._center + self._sums / max(1, self._n)
            constant = mean[gone] - mixing.T @ mean[chosen]
        return self.columns[chosen], self.columns[gone], mixing, constant


def _made_up(old: Tensor, one: Contraction, blocks: Sequence[_Seen], kept: Tensor) -> tuple[Tensor, Tensor]:
    """Return a reader's tensor in which kept units make up for the others, and what is added to its outputs."""
    new = old.clone()
    view = new.as_strided(one.weight.size(), one.weight.stride(), one.weight.storage_offset())
    matrices, added = [], []
    for matrix, block in zip(one.matrices(view), blocks, strict=True):
        parts = matrix.double().clone().reshape(len(matrix), -1, _taps(one))
        chosen, gone, mixing, constant = (part.to(parts.device) for part in block.made_up(kept))
        taken = parts[:, gone]
        parts[:, chosen] += torch.einsum("cg,oget->ocet", mixing, taken)
        parts[:, gone] = 0
        matrices.append(parts.reshape(matrix.shape).to(new))
        added.append(torch.einsum("oget,ge->o", taken, constant))
    put(matrices, replace(one, weight=view))
    return new, torch.cat(added)


def _inputs(one: Contraction) -> Sequence[Tensor]:
    """Return what each block takes in, shape (n_rows, n_columns); of a convolution, each pixel's channels."""
    if one.kind != "convolution":
        return one.rows()
    return one.data.movedim(1, -1).reshape(-1, one.data.shape[1]).chunk(one.args[8], 1)


def _taps(one: Contraction) -> int:
    return one.weight[0, 0].numel() if one.kind == "convolution" else 1


def rounded(groups: Sequence[Free], stays: Mapping[str, Tensor], steps: Mapping[str, int]) -> dict[str, Tensor]:
    """Return the units that stay where groups that a number of the model ties keep the same share of their units.

    Args:
        groups: those that are tied.
        stays: units that have to stay, by the group's name.
        steps: of which number the size of each must be a multiple.
    """
    n = gcd(*(one.n_units for one in groups))
    least = max(ceil(len(stays[one.name]) / (one.n_units // n)) for one in groups)
    step = common_step(groups, n, steps)
    least = min(n, -(-least // step) * step)
    found = {}
    for one in groups:
        units = stays[one.name]
        spare = torch.ones(one.n_units, dtype=torch.bool)
        spare[units] = False
        more = spare.nonzero()[: one.n_units // n * least - len(units), 0]
        found[one.name] = torch.cat([units, more]).sort().values
    return found
