"""Let the units that stay make up for those that go: new weights for the layers that take them in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...stats import Moments
from ...stats._base.wording import plural
from ...stats.redundancy.selection import Selection
from .groups import Link
from .products import Product, Products
from .readings import Reading


@dataclass(frozen=True)
class Plan:
    """The plan of a cut: which units of a group stay, and how they make up for the others.

    Attributes:
        link: the group.
        kept: ascending indices, shape (n_kept,).
        mixing: how the kept units combine into each removed one, float64, shape (n_kept, n_removed).
        constant: the constant added to each combination, shape (n_removed,).
    """

    link: Link
    kept: Tensor
    mixing: Tensor
    constant: Tensor

    @property
    def removed(self) -> Tensor:
        """Ascending indices of the units to remove."""
        gone = torch.ones(self.link.n_units, dtype=torch.bool, device=self.kept.device)
        gone[self.kept] = False
        return gone.nonzero()[:, 0]

    def refitted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the full-sized weights and biases of the readers, with 0 for the removed units."""
        made: dict[str, Tensor] = {}
        for name, reading in self.link.readings.items():
            made[name], added = self._weight(weights[name], reading)
            if reading.bias:
                made[reading.bias] = (made.get(reading.bias, weights[reading.bias]).double() + added).to(
                    weights[reading.bias].dtype
                )
        return made

    def _weight(self, weight: Tensor, reading: Reading) -> tuple[Tensor, Tensor]:
        """Return a new weight, and what the constants add to the output of each of its units."""
        axis, places = reading.axis, reading.places.to(weight.device)
        removed, mixing = self.removed.to(weight.device), self.mixing.to(weight.device)
        new = weight.detach().to(torch.float64, copy=True).movedim(axis, 0)  # (inputs, ...)
        by_unit = new[places]  # (n_places, n_units, ...)
        gone = by_unit[:, removed]
        by_unit[:, self.kept.to(weight.device)] += torch.einsum("kr,pr...->pk...", mixing, gone)
        by_unit[:, removed] = 0
        constants = torch.einsum("r,pr...->...", self.constant.to(weight.device), gone)
        new[places] = by_unit
        made = torch.empty_like(weight).copy_(new.movedim(0, axis))
        return made, constants.flatten(1).sum(1) if constants.dim() > 1 else constants


def selection_of(moments: Moments, *, constant: bool) -> Selection:
    """Return a selection among units by covariance, or by second moments if no constant can be absorbed."""
    covariance = moments.covariance()
    if constant:
        return Selection(covariance, freedom=moments.count - 1)
    mean = moments.mean()
    second = covariance * ((moments.count - 1) / moments.count) + mean[:, None] * mean
    return Selection(second, freedom=moments.count)


def takes_constants(link: Link) -> bool:
    """Return whether all readers of the units can absorb a constant in their bias."""
    return all(reading.bias for reading in link.readings.values())


def made_up_by(link: Link, kept: Tensor, selection: Selection, mean: Tensor | None) -> Plan:
    """Return the plan in which the chosen units make up for those not kept, with constants if ``mean`` is given."""
    plan = without(link, kept)
    basis = torch.tensor(selection.chosen, dtype=torch.int64, device=kept.device)
    mixing = torch.zeros_like(plan.mixing)
    mixing[torch.searchsorted(kept, basis)] = selection.coefficients()[:, plan.removed]
    constant = plan.constant if mean is None else mean[plan.removed] - mean[kept].nan_to_num() @ mixing
    return Plan(link, kept, mixing, constant)


def without(link: Link, kept: Tensor) -> Plan:
    """Return the plan in which nothing makes up for the units not kept."""
    n_removed = link.n_units - len(kept)
    none = torch.zeros(len(kept), n_removed, dtype=torch.float64, device=kept.device)
    return Plan(link, kept, none, none.new_zeros(n_removed))


def refitted(net: nn.Module, plans: Iterable[Plan]) -> dict[str, Tensor]:
    """Return the full-sized weights and biases that all plans change, one after the other."""
    weights = {name: one.detach() for name, one in net.named_parameters()}
    changed: dict[str, Tensor] = {}
    for plan in plans:
        changed |= plan.refitted({**weights, **changed})
    return changed


def moments_of(net: nn.Module, links: Iterable[Link], batches: Iterable[object]) -> dict[str, Moments]:
    """Return the moments of the units of each group, as its readers take them in; every position is a sample.

    Raises:
        ValueError: if there are fewer than two samples.
    """
    moments = {link.name: Moments() for link in links}
    by_reader: dict[str, list[Link]] = {}
    for link in links:
        by_reader.setdefault(next(iter(link.readings)), []).append(link)

    def see(product: Product) -> None:
        for link in by_reader.get(product.parameter, ()):
            rows = product.rows(link.readings[product.parameter].inputs)
            moments[link.name] = moments[link.name].update(rows)

    Products(net, see).run(batches)
    for name, seen in moments.items():
        if seen.count < 2:
            raise ValueError(
                f"the units of {name!r} were seen in {plural(seen.count, 'sample')}; at least two are needed"
            )
    return moments
