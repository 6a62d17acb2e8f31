"""The statistics of a group's units in each tensor from which they are read, and how some make up for others there."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...stats import Moments
from ...stats._base.wording import plural
from ...stats.redundancy.selection import Selection
from .groups import Link
from .products import Product, Products


@dataclass(frozen=True)
class MadeUp:
    """How kept units make up for removed ones.

    Attributes:
        mixing: how the kept units combine into each removed one, float64, shape (n_kept, n_removed).
        constant: the constant added to each combination, shape (n_removed,).
    """

    mixing: Tensor
    constant: Tensor


@dataclass(frozen=True)
class Source:
    """The units of a group as they are read from one tensor.

    Attributes:
        moments: of the units; every position is a sample.
        constant: whether all its readers can absorb a constant in their bias.
    """

    moments: Moments
    constant: bool

    def selection(self) -> Selection:
        """Return a selection among the units by covariance, or by second moments if no constant can be absorbed."""
        covariance, n = self.moments.covariance(), self.moments.count
        if self.constant:
            return Selection(covariance, freedom=n - 1)
        mean = self.moments.mean()
        return Selection(covariance * ((n - 1) / n) + mean[:, None] * mean, freedom=n)

    def made_up(self, kept: Tensor, selection: Selection) -> MadeUp:
        """Let the chosen units make up for those that are not kept."""
        made, removed = nothing(kept, len(selection.usable)), others(kept, len(selection.usable))
        basis = torch.tensor(selection.chosen, dtype=torch.int64, device=kept.device)
        made.mixing[torch.searchsorted(kept, basis)] = selection.coefficients()[:, removed]
        if not self.constant:
            return made
        mean = self.moments.mean()
        return MadeUp(made.mixing, mean[removed] - mean[kept].nan_to_num() @ made.mixing)


def nothing(kept: Tensor, n_units: int) -> MadeUp:
    """Let nothing make up for the units that are not kept."""
    none = torch.zeros(len(kept), n_units - len(kept), dtype=torch.float64, device=kept.device)
    return MadeUp(none, none.new_zeros(n_units - len(kept)))


def others(kept: Tensor, n_units: int) -> Tensor:
    """Return the ascending indices of the units that are not kept."""
    gone = torch.ones(n_units, dtype=torch.bool, device=kept.device)
    gone[kept] = False
    return gone.nonzero()[:, 0]


def sources_of(net: nn.Module, links: Collection[Link], batches: Iterable[Any]) -> dict[str, list[Source]]:
    """Return for each group the tensors from which its units are read.

    Raises:
        ValueError: if there are fewer than two samples.
    """
    moments: dict[str, list[Moments]] = {}
    first: dict[str, list[Link]] = {}  # the groups that a parameter is the first to read from their tensor
    for link in links:
        moments[link.name] = [Moments() for _ in range(link.n_sources)]
        for source in range(link.n_sources):
            first.setdefault(link.readers(source)[0], []).append(link)

    def see(product: Product) -> None:
        for link in first.get(product.parameter, ()):
            reading, found = link.readings[product.parameter], moments[link.name]
            found[reading.source] = found[reading.source].update(product.rows(reading.inputs))

    Products(net, see).run(batches)
    return {link.name: [_source(link, *one) for one in enumerate(moments[link.name])] for link in links}


def _source(link: Link, number: int, moments: Moments) -> Source:
    if moments.count < 2:
        raise ValueError(
            f"the units of {link.name!r} were seen in {plural(moments.count, 'sample')}; at least two are needed"
        )
    return Source(moments, all(link.readings[name].bias for name in link.readers(number)))
