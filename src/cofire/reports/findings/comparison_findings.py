"""The differences between two networks in sentences, and a comparison as JSON."""

from collections.abc import Callable
from math import isfinite
from typing import Any

from ..data.comparison import COMPARED, Comparison, Estimate, Pair
from ..data.formatting import listing, plural
from .finding import Finding, Level, about, by_urgency

NOTABLE_WC = 0.02
MOST = 6
CHANGING = ("nc", "constant", "width", "units", "wc")


def headline(comparison: Comparison) -> str:
    """Return the comparison in one sentence."""
    pairs = comparison.pairs
    if not pairs:
        return "The two networks have no layer of the same name."
    of_units = "nc" in comparison.quantities
    quantity, what, alike = ("nc", "units fire together", "") if of_units else ("wc", "weight vectors are", " alike")
    moved = [pair.difference(quantity).value for pair in pairs if _moved(pair, quantity)]
    if not moved:
        return f"No layer's {'correlation' if of_units else 'weight correlation'} differs clearly."
    more = sum(value > 0 for value in moved)
    found = [(word, number) for word, number in (("more", more), ("less", len(moved) - more)) if number]
    parts = [f"{word}{'' if place else alike} in {number}" for place, (word, number) in enumerate(found)]
    return f"In the second network, {what} {' and '.join(parts)} of {plural(len(pairs), 'layer')}."


def findings(comparison: Comparison) -> list[Finding]:
    """Return every difference, those that need action first."""
    changes = [finding for quantity in CHANGING for finding in _changed(comparison, quantity)]
    found = [*_different_kinds(comparison), *changes, *_unmatched(comparison)]
    if comparison.pairs and not changes:
        found.append(
            Finding("same", "note", f"Nothing differs clearly in {plural(len(comparison.pairs), 'layer')}", ())
        )
    return by_urgency(found)


def _changed(comparison: Comparison, quantity: str) -> list[Finding]:
    """Return the findings about one quantity: layers in which it rose, and those in which it fell."""
    moved = [(pair, pair.difference(quantity).value) for pair in comparison.pairs if _moved(pair, quantity)]
    moved.sort(key=lambda one: -abs(one[1]))

    def of(change: str, level: Level, values: Callable[[float], bool]) -> list[Finding]:
        points = [(pair.layer, _both(pair, quantity)) for pair, value in moved if values(value)]
        return about(f"{quantity} {change}", level, points, most=MOST)

    if quantity == "units":
        return of("differs", "note", bool)
    urgent = "watch" if quantity in ("nc", "constant") else "note"
    return of("rose", urgent, lambda value: value > 0) + of("fell", "note", lambda value: value < 0)


def _both(pair: Pair, quantity: str) -> str:
    """Return both numbers and their difference in words."""
    a, b = (side[quantity].text(quantity) for side in (pair.a, pair.b))
    return f"{a} → {b}, {pair.difference(quantity).text(quantity, signed=True)}"


def _moved(pair: Pair, quantity: str) -> bool:
    """Return whether a difference is more than chance and, for weights, whose numbers are exact, large enough."""
    return pair.clear(quantity) and (quantity != "wc" or abs(pair.difference(quantity).value) >= NOTABLE_WC)


def _unmatched(comparison: Comparison) -> list[Finding]:
    sides = ((comparison.a.name, comparison.only_a), (comparison.b.name, comparison.only_b))
    points = tuple((f"only in {name}", listing(names, MOST)) for name, names in sides if names)
    number = len(comparison.only_a) + len(comparison.only_b)
    return [Finding("unmatched", "note", f"{plural(number, 'layer')} could not be matched", points)] if points else []


def _different_kinds(comparison: Comparison) -> list[Finding]:
    """Return the finding that a file of weights is compared with activations, which leaves little to compare."""
    if not comparison.mixed:
        return []
    weights, other = sorted((comparison.a, comparison.b), key=lambda side: side.kind != "weights")
    title = (
        f"{weights.name} holds weights only, {other.name} {'is a run' if other.kind == 'run' else 'was run on data'}"
    )
    remark = "Only weight correlations can be compared between the two, layer by layer of the same name."
    names = "" if comparison.pairs else " A run names its layers as the tracked model does."
    advice = "Compare two runs or two files of weights; add --model and --data to compare activations as well."
    return [Finding("kinds", "watch", title, (), remark + names, advice)]


def as_plain(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison with its findings as plain data for JSON; NaN becomes None."""
    return {
        "a": {"name": comparison.a.name, "made": dict(comparison.a.made)},
        "b": {"name": comparison.b.name, "made": dict(comparison.b.made)},
        "layers": [
            {"layer": pair.layer, **{name: _plain(pair, name) for name in COMPARED}} for pair in comparison.pairs
        ],
        "only_a": comparison.only_a,
        "only_b": comparison.only_b,
        "findings": [
            {"kind": one.kind, "level": one.level, "headline": one.headline, "points": list(map(list, one.points))}
            for one in findings(comparison)
        ],
    }


def _plain(pair: Pair, name: str) -> dict[str, Any]:
    def ends(estimate: Estimate) -> dict[str, float | None]:
        return {end: value if isfinite(value) else None for end, value in vars(estimate).items()}

    return {"a": ends(pair.a[name]), "b": ends(pair.b[name]), "difference": ends(pair.difference(name))} | {
        "clear": pair.clear(name)
    }
