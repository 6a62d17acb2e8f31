"""Cut groups of units: what a cut is asked of, and the smaller network that it gives."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from ..layer_names import unwrap
from ..layers.patterns import Pattern, as_list, matching, split
from ..loading.batches import as_batches, forward
from ..loading.eval_mode import evaluating
from ..wiring.wired_layers import short_name
from .counts import Count
from .cut_groups import Change, named_tensors
from .groups import Links, links, memory_shared, owner
from .output_change import predicted_error, shown
from .output_errors import ErrorSums, OutputError, combined
from .products import Product, Products
from .refit import Plan, refitted
from .verify import CODE_FIXES, tried, verified


@dataclass(frozen=True)
class Cut:
    """The cut of one group of units.

    Attributes:
        layer: name of the first layer that makes them, such as ``"fc1"``. Where a layer's units fall into several
            groups (heads and their sizes, say), the place of the group is added: ``"value[1]"``.
        layers: all layers that make them; several where outputs are multiplied, as in a gated layer.
        n_units: units before.
        kept: which of them stay, ascending; unit i of the smaller layer is ``kept[i]`` of the old one.
        errors: how far the output of each layer that takes the units in moves by this cut alone, predicted on the data
            that the cut was made with; empty without data.
    """

    layer: str
    layers: tuple[str, ...]
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
        cuts: by layer, for the groups that lost units.
        left: layers that cannot be cut, with the reason.
        whole: groups that could be cut but lost no unit.
        predicted: how far the network's outputs move by all cuts together, to first order, on the data that the cuts
            were made with; None if an operation has no forward derivative. :func:`output_error` measures how far they
            really move.
        counts: numbers of the modules that changed with their weights, such as ``{"fc1.out_features": 20}``.
    """

    model: nn.Module
    cuts: Mapping[str, Cut]
    left: Mapping[str, str]
    whole: tuple[str, ...]
    predicted: OutputError | None
    counts: Mapping[str, Count]

    def __repr__(self) -> str:
        kept = {name: f"{len(cut.kept)} of {cut.n_units}" for name, cut in self.cuts.items()}
        return f"Surgery(kept={kept}, left={list(self.left)}, predicted={self.predicted})"

    @property
    def n_removed(self) -> int:
        """Units removed from all layers together."""
        return sum(len(cut.removed) for cut in self.cuts.values())


@dataclass(frozen=True)
class Patient:
    """A copy of a network that is to be cut, with the data to do it by.

    Attributes:
        net: the copy.
        batches: the data.
        first: their first batch.
        links: the groups that may be cut.
    """

    net: nn.Module
    batches: Iterable[Any]
    first: Any
    links: Links


def admitted(model: nn.Module, data: Any, pattern: "Pattern | list[Pattern]") -> Patient:
    """Return a copy of a network with the groups that a pattern selects.

    Raises:
        ValueError: for data that cannot be used, a model that returns no real numbers, or a pattern without match.
    """
    batches, whole = as_batches(data), unwrap(model)
    asked, excluded = _asked(whole, pattern)
    net = copied(whole)
    with evaluating(net):  # a loader draws random numbers
        first = next(iter(batches), None)
        if first is None:
            raise ValueError("the data hold no batch")
        shown(forward(net, first))
    every = links(net, first, memory_shared(whole))
    found = {
        name: link
        for name, link in every.found.items()
        if asked.intersection(link.layers) and not excluded.intersection(link.layers)
    }
    left = {name: reason for name, reason in every.left.items() if name in asked - excluded}
    return Patient(net, batches, first, Links(found, left, every.dimensions))


def _asked(model: nn.Module, pattern: "Pattern | list[Pattern]") -> tuple[set[str], set[str]]:
    """Return the names of modules and of their parameters that a pattern selects, and those that it excludes.

    Raises:
        ValueError: if it matches nothing.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    wanted, unwanted = split(as_list(pattern))
    asked = {name for one in wanted for name in matching(cast(Pattern, one), modules)}
    excluded = {name for one in unwanted for name in matching(one, modules)}
    if not asked - excluded:
        raise ValueError(f"{pattern!r} leaves no layer to cut: {'all are excluded' if unwanted else 'it is empty'}")
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    for names in (asked, excluded):
        owned = [one for one in parameters if one.rpartition(".")[0] in names]
        names.update(owned, map(short_name, owned))  # as layers are named where a module makes units with several
    return asked, excluded


def copied(model: nn.Module) -> nn.Module:
    """Return a copy that shares nothing with the model.

    Tensors that a hook has computed from parameters, as ``weight_norm`` and ``torch.nn.utils.prune`` do, are detached:
    torch cannot copy them, and the hook computes them again.
    """
    computed = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in computed if not tensor.is_leaf})


def carry_out(patient: Patient, plans: Iterable[Plan]) -> Surgery:
    """Cut the copy by all plans that the code allows."""
    net, asked = patient.net, patient.links
    plans = [plan for plan in plans if len(plan.removed)]
    good = verified(net, asked.dimensions, plans, patient.first)
    errors = _errors(net, good, patient.batches)
    predicted = predicted_error(net, refitted(net, good), patient.batches)
    change = (tried(net, asked.dimensions, good, patient.first) if good else None) or Change()
    cuts = {plan.link.name: _cut(plan, errors) for plan in good}
    bad = [plan.link for plan in plans if plan.link.name not in cuts]
    left = {**asked.left, **{link.name: CODE_FIXES for link in bad}}
    named = {layer for cut in cuts.values() for layer in cut.layers} | {link.layers[0] for link in bad}
    left |= {layer: CODE_FIXES for link in bad for layer in link.layers if layer not in named}
    whole = tuple(name for name in asked.found if name not in {plan.link.name for plan in plans})
    return Surgery(net, cuts, left, whole, predicted, change.counts)


def _cut(plan: Plan, errors: Mapping[tuple[str, str], OutputError]) -> Cut:
    link = plan.link
    names = {owner(one): one for one in link.readings}
    shown = {one: owner(one) if len(names) == len(link.readings) else one for one in link.readings}
    by_reader = {shown[one]: errors[link.name, one] for one in link.readings}
    return Cut(link.name, link.layers, link.n_units, tuple(plan.kept.tolist()), by_reader)


def _errors(net: nn.Module, plans: Iterable[Plan], batches: Iterable[Any]) -> dict[tuple[str, str], OutputError]:
    """Return for each group and reader how far the reader's output moves on the data by the cut of this group alone.

    The change of the weights is applied to what the reader takes in. That gives the difference of the outputs without
    the cancellation of subtracting them.
    """
    old = named_tensors(net)
    new = {plan.link.name: refitted(net, [plan]) for plan in plans}
    sums = {(plan.link.name, reader): ErrorSums() for plan in plans for reader in plan.link.readings}

    def see(product: Product) -> None:
        for (name, reader), errors in sums.items():
            if reader == product.parameter:
                changes = {one: weight - old[one].detach() for one, weight in new[name].items()}
                moved = product.moved(changes[reader], changes.get(product.bias or ""))
                errors.add(product.output_rows(moved), product.output_rows(product.output))

    Products(net, see).run(batches)
    return {key: combined([one]) for key, one in sums.items()}
