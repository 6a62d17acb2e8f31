"""The differences between two networks in sentences, and a comparison as JSON."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite, nan
from typing import Any

from ..data.comparison import COMPARED, Comparison, Estimate, Pair
from ..data.formatting import listing, plural, shorten
from .finding import Finding, Level, about, by_urgency

VERSION = 1
"""Version of what `as_plain` returns; it grows when a name in it changes its meaning or goes."""
MOST = 6
LONGEST = 60
CHANGING = ("nc", "constant", "width", "units", "wc")


CALLED = {"nc": "correlation", "wc": "weight correlation"}
LARGEST: Mapping[str, tuple[str, str]] = {
    "nc": ("Units fire together more in {layer}", "Units fire together less in {layer}"),
    "constant": ("More units are constant in {layer}", "Fewer units are constant in {layer}"),
    "width": ("More units are needed in {layer}", "Fewer units are needed in {layer}"),
    "units": ("{layer} has more units", "{layer} has fewer units"),
    "wc": ("Weight vectors are more alike in {layer}", "Weight vectors are less alike in {layer}"),
}
"""What a rise and a fall of each quantity mean, in the order in which a headline looks for a change."""


def headline(comparison: Comparison) -> str:
    """Return the largest real change in one sentence: in correlation, or where that has none in another quantity."""
    if not comparison.pairs:
        return "The two networks have no layer of the same name."
    for quantity in dict.fromkeys((comparison.main, *LARGEST)):
        if pair := comparison.largest_real(quantity):
            rose = pair.difference(quantity).value > 0
            words = LARGEST[quantity][0 if rose else 1].format(layer=shorten(pair.layer, LONGEST))
            a, b = (replace(side[quantity], low=nan, high=nan).text(quantity) for side in (pair.a, pair.b))
            return f"{words}: {a} → {b}."
    return f"No layer's {CALLED[comparison.main]} differs clearly."


def remark(comparison: Comparison) -> str:
    """Return how sure the headline is, and how many layers differ."""
    quantity = comparison.main
    layers = comparison.by_effect(quantity)
    if not layers:
        return ""
    moved = [pair.difference(quantity).value for pair in layers if pair.real(quantity)]
    rose = sum(value > 0 for value in moved)
    found = [(word, number) for word, number in (("higher", rose), ("lower", len(moved) - rose)) if number]
    counts = " and ".join(f"{word} in {number}" for word, number in found)
    of_layers = f"{CALLED[quantity]} is {counts} of {plural(len(layers), 'layer')}"
    if not moved:
        return (
            f"The largest difference in {CALLED[quantity]} is {_largest(layers[0], quantity)}, within its uncertainty."
        )
    if pair := comparison.largest_real(quantity):
        return f"The largest real change is {_largest(pair, quantity)}; {of_layers}."
    return f"By 95 % intervals, {of_layers}: among so many layers, chance alone gives differences as large."


def _largest(pair: Pair, quantity: str) -> str:
    difference = pair.difference(quantity)
    return f"{difference.text(quantity, signed=True)}{', an exact number' if not difference.has_interval else ''}"


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
    moved = [(pair, pair.difference(quantity).value) for pair in comparison.by_effect(quantity) if pair.real(quantity)]

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
        "version": VERSION,
        "a": {"name": comparison.a.name, "made": dict(comparison.a.made)},
        "b": {"name": comparison.b.name, "made": dict(comparison.b.made)},
        "layers": [
            {"layer": pair.layer, **{name: _plain(pair, name) for name in COMPARED}} for pair in comparison.pairs
        ],
        "only_a": comparison.only_a,
        "only_b": comparison.only_b,
        "headline": headline(comparison),
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
