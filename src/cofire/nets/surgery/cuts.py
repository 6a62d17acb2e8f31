"""Cut layers: which units stay, how they make up for the others, and the smaller network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...stats import Moments
from ...stats.redundancy.selection import Selection
from ..layer_names import unwrap
from ..layers.patterns import Pattern, as_list, matching, split
from .calibrate import Change, output_errors, run
from .cut_layers import Cuttable, input_axis, keep_features, keep_inputs, keep_units, set_weight, takes_constants
from .links import Link, Links, links
from .output_change import predicted_error
from .output_errors import OutputError


@dataclass(frozen=True)
class Cut:
    """The cut of one layer.

    Attributes:
        layer: its name.
        n_units: units before.
        kept: which of them stay, ascending; unit i of the smaller layer is ``kept[i]`` of the old one.
        errors: how far the output of each layer that takes the units in moves by this cut alone, predicted on the data
            that the cut was made with; empty without data.
    """

    layer: str
    n_units: int
    kept: tuple[int, ...]
    errors: Mapping[str, OutputError]

    @property
    def removed(self) -> tuple[int, ...]:
        """The units that were removed."""
        kept = set(self.kept)
        return tuple(unit for unit in range(self.n_units) if unit not in kept)


@dataclass(frozen=True, eq=False)
class Surgery:
    """A smaller network, and the cuts that made it.

    Attributes:
        model: a copy of the network with smaller layers; the original is untouched.
        cuts: by layer, for the layers that lost units.
        left: layers that cannot be cut, with the reason.
        whole: layers that could be cut but lost no unit.
        predicted: how far the network's outputs move by all cuts together, to first order, on the data that the cuts
            were made with; None without data, or if an operation has no forward derivative. :func:`output_error`
            measures how far they really move.
    """

    model: nn.Module
    cuts: Mapping[str, Cut]
    left: Mapping[str, str]
    whole: tuple[str, ...]
    predicted: OutputError | None

    def __repr__(self) -> str:
        kept = {name: f"{len(cut.kept)} of {cut.n_units}" for name, cut in self.cuts.items()}
        return f"Surgery(kept={kept}, left={list(self.left)}, predicted={self.predicted})"

    @property
    def n_removed(self) -> int:
        """Units removed from all layers together."""
        return sum(len(cut.removed) for cut in self.cuts.values())


@dataclass(frozen=True)
class Plan:
    """The plan of a cut: which units of a link stay, and how they make up for the others.

    Attributes:
        link: the link.
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


def chosen_links(model: nn.Module, pattern: "Pattern | list[Pattern]") -> Links:
    """Return the links of the layers that a pattern selects, and why the other selected layers cannot be cut.

    Raises:
        ValueError: if the pattern matches nothing.
    """
    every = links(model)
    names = dict(unwrap(model).named_modules(remove_duplicate=False))
    wanted, unwanted = split(as_list(pattern))
    asked = {name for one in wanted for name in matching(cast(Pattern, one), names)}
    asked -= {name for one in unwanted for name in matching(one, names)}
    if not asked:
        raise ValueError(f"{pattern!r} leaves no layer to cut: {'all are excluded' if unwanted else 'it is empty'}")
    return Links(
        {name: link for name, link in every.found.items() if name in asked},
        {name: reason for name, reason in every.left.items() if name in asked},
    )


def combining(net: nn.Module, link: Link) -> bool:
    """Return whether all consumers of the units can absorb a constant in their bias."""
    return all(takes_constants(cast(Cuttable, net.get_submodule(name))) for name in link.consumers)


def selection_of(moments: Moments, *, constant: bool) -> Selection:
    """Return a selection among units by covariance, or by second moments if no constant can be absorbed."""
    covariance = moments.covariance()
    if constant:
        return Selection(covariance, freedom=moments.count - 1)
    mean = moments.mean()
    second = covariance * ((moments.count - 1) / moments.count) + mean[:, None] * mean
    return Selection(second, freedom=moments.count)


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


def carry_out(net: nn.Module, plans: Iterable[Plan], asked: Links, batches: Iterable[Any] | None) -> Surgery:
    """Cut a copy of the network in place by all plans.

    Raises:
        ValueError: if what is left does not run on the first batch.
    """
    plans = [plan for plan in plans if len(plan.removed)]
    changes = {name: _change(net, plan, name) for plan in plans for name in plan.link.consumers}
    errors = {} if batches is None else output_errors(net, changes, batches)
    predicted = None if batches is None else predicted_error(net, changes, batches)
    for plan in plans:
        _cut(net, plan)
    if batches is not None:
        try:
            run(net, [next(iter(batches))], {})
        except Exception as error:  # whatever the user's forward raises on a width it did not expect
            raise ValueError(
                f"the smaller network does not run ({error}); its forward may depend on a fixed number of units: "
                "leave that layer out with the pattern"
            ) from error
    cuts = {
        plan.link.layer: Cut(
            plan.link.layer,
            plan.link.n_units,
            tuple(plan.kept.tolist()),
            {name: errors[name] for name in plan.link.consumers if name in errors},
        )
        for plan in plans
    }
    whole = tuple(name for name in asked.found if name not in cuts)
    return Surgery(net, cuts, dict(asked.left), whole, predicted)


def _cut(net: nn.Module, plan: Plan) -> None:
    for name, layout in plan.link.consumers.items():
        consumer = cast(Cuttable, net.get_submodule(name))
        change = _change(net, plan, name)
        set_weight(consumer, "weight", consumer.weight.detach() - change.weight)
        if consumer.bias is not None and change.bias is not None:
            set_weight(consumer, "bias", consumer.bias.detach() - change.bias)
        keep_inputs(consumer, layout.features(plan.kept, plan.link.n_units))
    for name, layout in plan.link.carriers.items():
        keep_features(net.get_submodule(name), layout.features(plan.kept, plan.link.n_units))
    keep_units(cast(Cuttable, net.get_submodule(plan.link.layer)), plan.kept)


def _change(net: nn.Module, plan: Plan, name: str) -> Change:
    """Return the consumer's weights minus those that it will have, which are 0 for the removed units."""
    consumer, layout = cast(Cuttable, net.get_submodule(name)), plan.link.consumers[name]
    weight = consumer.weight.detach()
    axis = input_axis(consumer)
    by_unit = weight.double().unflatten(axis, (layout.before, plan.link.n_units, layout.after)).movedim(axis + 1, 0)
    change = torch.zeros_like(by_unit)
    gone = by_unit[plan.removed]
    change[plan.removed] = gone
    change[plan.kept] = -torch.tensordot(plan.mixing, gone, dims=1)
    change = change.movedim(0, axis + 1).flatten(axis, axis + 2).to(weight.dtype)
    if consumer.bias is None:
        return Change(change, None)
    # What the constants of the removed units add to the consumer's output goes into its bias.
    constant = plan.constant.new_zeros(plan.link.n_units)
    constant[plan.removed] = plan.constant
    # (out, features, kernel ...) -> (out, features)
    by_feature = weight.double().movedim(axis, 1).flatten(2).sum(2) if weight.ndim > 2 else weight.double()
    return Change(change, -(by_feature @ layout.spread(constant)).to(weight.dtype))
