"""Answers to a reader's first questions: how redundant, where, since when, and compared with what."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from ..data.formatting import count, listing, number, plural
from ..data.run_view import Layer, View
from ..data.trends import CLEAR, Correlation, above_noise_since, correlation_at, firing_together, present_level_since
from .finding import MOST_NAMED, named
from .unit_findings import spare


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, its short answer, the numbers behind it by name, and an explanation of those."""

    question: str
    answer: str
    points: tuple[tuple[str, str], ...] = ()
    remark: str = ""


def overview(view: View, others: Sequence[View] = ()) -> list[Answer]:
    """Return the four answers about a run, compared with other runs; empty if no correlation is known."""
    layers = [layer for layer in view.hidden if isfinite(correlation_at(layer, -1).value)]
    if not layers:
        return []
    strongest = sorted(layers, key=lambda layer: -correlation_at(layer, -1).value)
    shown = firing_together(strongest) or strongest[:1]
    return [how_redundant(strongest), where(strongest), since_when(shown), compared(strongest[0], others)]


def how_redundant(layers: Sequence[Layer]) -> Answer:
    """Return the median over layers, and the range."""
    values = [correlation_at(layer, -1).value for layer in layers]
    ends = {"highest": layers[0], "lowest": layers[-1]} if len(layers) > 1 else {}
    points = tuple((end, f"{number(_value(layer), 2)} in {layer.name}") for end, layer in ends.items())
    whose = f"median of {plural(len(layers), 'layer')}" if ends else layers[0].name
    remark = f"Debiased mean |ρ|, {whose}. 0 means uncorrelated, 1 means that all units are copies."
    return Answer("How redundant?", number(median(values), 2), points, remark)


def where(layers: Sequence[Layer]) -> Answer:
    """Return the layers whose units fire together, the strongest first, and count constant units and copies."""
    together = firing_together(layers)
    shown = together or layers[:1]
    points = tuple((layer.name, correlation_at(layer, -1).sentence) for layer in shown[:MOST_NAMED])
    answer = named([layer.name for layer in together], MOST_NAMED) if together else "in no layer clearly"
    rule = f"Units fire together if the whole 95 % interval (in brackets) lies above {CLEAR}."
    return Answer("Where?", answer, points, " ".join(filter(None, (rule, _silent(layers), _copied(layers)))))


def _silent(layers: Sequence[Layer]) -> str:
    constant = sum(int(value) for layer in layers if isfinite(value := layer.last("n_constant")))
    return f"{plural(constant, 'unit')} never changed." if constant else ""


def _copied(layers: Sequence[Layer]) -> str:
    copies = sum(spare(layer.duplicates) for layer in layers)
    return f"{plural(copies, 'unit')} {'is a copy' if copies == 1 else 'are copies'} of another." if copies else ""


def since_when(layers: Sequence[Layer]) -> Answer:
    """Return since when each layer has been above its noise, and since when at its present level."""
    points = tuple((layer.name, _history(layer)) for layer in layers[:MOST_NAMED])
    since = above_noise_since(layers[0])
    level = present_level_since(layers[0])
    if since is None:
        return Answer("Since when?", "not above noise", points)
    remark = "Above noise: the interval lies above 0. At this level: the interval overlaps with the last one."
    return Answer("Since when?", f"since step {count(level)}", points, remark)


def _history(layer: Layer) -> str:
    since, level = above_noise_since(layer), present_level_since(layer)
    if since is None:
        return "not above noise"
    beyond = (
        "above noise from the start" if since == layer.of("nc").steps[0] else f"above noise since step {count(since)}"
    )
    return f"{beyond}, at this level since step {count(level)}"


def compared(layer: Layer, others: Sequence[View]) -> Answer:
    """Compare a layer with its noise floor, its first recording and the same layer of other runs."""
    last, raw, floor = correlation_at(layer, -1), layer.last("nc"), layer.last("nc_noise_floor")
    points = [("noise floor", f"{number(floor)}; NC {number(raw)}")] if floor > 0 else []
    first = correlation_at(layer, 0)
    step = layer.of("nc").steps[0]
    trained = len(layer.of("nc").steps) > 1 and isfinite(first.value)
    if trained:
        start = "before training" if step == 0 else f"at step {count(step)}"
        points.append((start, f"{number(first.value, 2)}; {_change(first, last)}"))
    points += [point for other in others if (point := _beside(layer.name, last, other))]
    answer = _times(last.value, first.value, "its start") if trained else _times(raw, floor, "its noise floor")
    return Answer("Compared with what?", answer, tuple(points), f"In the layer {layer.name}.")


def _times(value: float, yardstick: float, what: str) -> str:
    if not (value > 0 and yardstick > 0):
        return f"{number(value, 2)} against {number(yardstick, 2)}"
    return f"{number(value / yardstick, 1)} × {what}"


def _change(before: Correlation, after: Correlation) -> str:
    """Return the difference, and whether the intervals overlap."""
    difference = after.value - before.value
    apart = after.low > before.high or after.high < before.low
    return f"{'+' if difference > 0 else ''}{number(difference, 2)}{'' if apart else ', intervals overlap'}"


def _beside(name: str, last: Correlation, other: View) -> tuple[str, str] | None:
    there = _of(other, name)
    if there is None:
        return None
    return other.name, f"{number(there.value, 2)} there; here {_change(there, last)}"


def _value(layer: Layer) -> float:
    return correlation_at(layer, -1).value


def several(views: Sequence[View]) -> Answer:
    """Return what differs between runs: layers whose intervals at the last recordings do not all overlap."""
    shared = [layer.name for layer in views[0].hidden if all(_of(view, layer.name) for view in views)]
    if not shared:
        return Answer("", "The runs have no layer in common.")
    apart = [name for name in shared if _apart([_of(view, name) for view in views])]
    remark = "The intervals cover the sampling of inputs; another seed alone changes values by more."
    if not apart:
        n = len(shared)
        return Answer(
            "",
            f"Correlation is similar in {'the only layer they share' if n == 1 else f'all {n} layers'}.",
            (),
            f"At the last recordings the 95 % intervals overlap. {remark}",
        )
    headline = f"The runs' correlations differ in {len(apart)} of {plural(len(shared), 'layer')}."
    return Answer(
        "", headline, (), f"At the last recordings the 95 % intervals do not overlap in {listing(apart)}. {remark}"
    )


def _of(view: View, name: str) -> Correlation | None:
    found = next((correlation_at(layer, -1) for layer in view.measured if layer.name == name), None)
    return found if found is not None and isfinite(found.value) else None


def _apart(found: Sequence[Correlation | None]) -> bool:
    known = [one for one in found if one is not None]
    return max(one.low for one in known) > min(one.high for one in known)
