"""What two networks differ in, in sentences with their numbers."""

from collections.abc import Callable, Sequence

from ..data.comparison import Comparison, Pair, told
from ..data.formatting import listing, plural
from .finding import Finding, Level, named

NOTABLE_WC = 0.02
MOST = 6


def headline(comparison: Comparison) -> str:
    """The comparison in one sentence."""
    pairs = comparison.pairs
    if not pairs:
        return "The two have no layer of the same name."
    of_units = "nc" in comparison.quantities
    quantity, what, alike = ("nc", "units fire together", "") if of_units else ("wc", "weight vectors are", " alike")
    moved = [pair for pair in pairs if _moved(pair, quantity)]
    if not moved:
        return f"No layer's {'correlation' if of_units else 'weight correlation'} differs clearly."
    more = sum(pair.difference(quantity).value > 0 for pair in moved)
    there = [(word, number) for word, number in (("more", more), ("less", len(moved) - more)) if number]
    parts = [f"{word}{'' if place else alike} in {number}" for place, (word, number) in enumerate(there)]
    return f"In the second, {what} {' and '.join(parts)} of {plural(len(pairs), 'layer')}."


def findings(comparison: Comparison) -> list[Finding]:
    """All that differs, what asks for action first."""
    found = [finding for find in _KINDS for finding in find(comparison)]
    order = {"act": 0, "watch": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def correlation(comparison: Comparison) -> list[Finding]:
    """Layers whose units fire together clearly more, or less."""
    remark = "Debiased mean |ρ| with 95 % intervals; that of the difference takes the two as independent."
    return [
        *_changed(comparison, "nc", "watch", "Units fire together more in", _rises, remark),
        *_changed(comparison, "nc", "note", "Units fire together less in", _falls, remark),
    ]


def weights(comparison: Comparison) -> list[Finding]:
    """Layers whose weight vectors became more or less alike."""
    remark = "Mean |cosine| of the units' incoming weights. Fewer inputs alone make it larger."
    return [
        *_changed(comparison, "wc", "note", "Weight vectors are more alike in", _rises, remark),
        *_changed(comparison, "wc", "note", "Weight vectors are less alike in", _falls, remark),
    ]


def constant(comparison: Comparison) -> list[Finding]:
    """Layers with other numbers of constant units."""
    advice = "Dead units carry nothing: a smaller learning rate or another initialization may keep them alive."
    return [
        *_changed(comparison, "constant", "watch", "More units are constant in", _rises, "", advice),
        *_changed(comparison, "constant", "note", "Fewer units are constant in", _falls, ""),
    ]


def units(comparison: Comparison) -> list[Finding]:
    """Layers of other sizes."""
    return _changed(comparison, "units", "note", "The number of units differs in", lambda pair, name: True, "")


def width(comparison: Comparison) -> list[Finding]:
    """Layers that need clearly more, or fewer, units."""
    remark = "The recommended width: so many units explain the others by linear combinations; with 95 % intervals."
    return [
        *_changed(comparison, "width", "note", "More units are needed in", _rises, remark),
        *_changed(comparison, "width", "note", "Fewer units are needed in", _falls, remark),
    ]


def unmatched(comparison: Comparison) -> list[Finding]:
    """Layers that only one has."""
    sides = ((comparison.a.name, comparison.only_a), (comparison.b.name, comparison.only_b))
    points = tuple((f"only in {name}", listing(names, MOST)) for name, names in sides if names)
    number = len(comparison.only_a) + len(comparison.only_b)
    return [Finding("unmatched", "note", f"{plural(number, 'layer')} could not be matched", points)] if points else []


def of_two_kinds(comparison: Comparison) -> list[Finding]:
    """That one is weights alone, of which little can be compared with what units did on data."""
    if not comparison.mixed:
        return []
    weights, other = sorted((comparison.a, comparison.b), key=lambda side: side.kind != "weights")
    title = f"{weights.name} is weights alone, {other.name} {'a run' if other.kind == 'run' else 'was run on data'}"
    remark = "Of weights only their correlation can be compared with a run's, layer by layer of the same name."
    names = "" if comparison.pairs else " A run names its layers as the model that was tracked does."
    advice = "Compare two runs, or two files of weights; with --model and --data by what their units do as well."
    return [Finding("kinds", "watch", title, (), remark + names, advice)]


def nothing(comparison: Comparison) -> list[Finding]:
    """That nothing differs, if so."""
    same = comparison.pairs and not any(
        _moved(pair, name) for pair in comparison.pairs for name in comparison.quantities
    )
    title = f"Nothing differs clearly in {plural(len(comparison.pairs), 'layer')}"
    return [Finding("same", "note", title, ())] if same else []


def _changed(
    comparison: Comparison,
    quantity: str,
    level: Level,
    title: str,
    which: Callable[[Pair, str], bool],
    remark: str,
    advice: str = "",
) -> list[Finding]:
    found = [pair for pair in comparison.pairs if _moved(pair, quantity) and which(pair, quantity)]
    if not found:
        return []
    found.sort(key=lambda pair: -abs(pair.difference(quantity).value))
    where = named([pair.layer for pair in found], MOST)
    return [Finding(quantity, level, f"{title} {where}", _points(found, quantity), remark, advice)]


def _points(found: Sequence[Pair], quantity: str) -> tuple[tuple[str, str], ...]:
    points = [(pair.layer, change(pair, quantity)) for pair in found[:MOST]]
    rest = len(found) - MOST
    return (*points, *([("…", f"{plural(rest, 'layer')} more")] if rest > 0 else []))


def change(pair: Pair, quantity: str) -> str:
    """Both numbers and their difference, in words."""
    a, b = (told(side[quantity], quantity) for side in (pair.a, pair.b))
    return f"{a} → {b}, {told(pair.difference(quantity), quantity, signed=True)}"


def _moved(pair: Pair, quantity: str) -> bool:
    """Whether the difference is beyond chance, and for weights, which have no chance, beyond what matters."""
    return pair.clear(quantity) and (quantity != "wc" or abs(pair.difference(quantity).value) >= NOTABLE_WC)


def _rises(pair: Pair, quantity: str) -> bool:
    return pair.difference(quantity).value > 0


def _falls(pair: Pair, quantity: str) -> bool:
    return pair.difference(quantity).value < 0


_KINDS = (of_two_kinds, correlation, constant, width, units, weights, unmatched, nothing)
