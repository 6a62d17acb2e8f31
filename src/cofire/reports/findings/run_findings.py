"""Findings about a run: each claim with its numbers, its noise floor and its sample size.

Units *fire together* in a layer if the whole interval of its debiased neuronal correlation lies above `CLEAR`. They are
*close to uncorrelated* if it lies below `FAINT`. Between the two nothing is claimed.
"""

from collections.abc import Sequence
from math import isfinite

from ..data.formatting import by_reason, count, listing, number, plural
from ..data.run_view import Layer, View
from ..data.trends import CLEAR, FAINT, correlation_at, direction, firing_together
from .finding import MOST_NAMED, Finding, about, by_urgency, spread
from .information_findings import INFORMATION_KINDS, of_dependence
from .unit_findings import UNIT_KINDS, nonfinite

STRONG = 0.4
_QUANTITY = "Debiased mean |ρ| over pairs of units, with its 95 % interval."


def headline(view: View) -> str:
    """Return the run in one sentence, about its hidden layers if there are any."""
    layers = [layer for layer in view.measured if layer.of("nc").defined]
    if not view.layers:
        return "Nothing has been recorded yet."
    if broken := nonfinite(view.measured):
        return f"{broken[0].headline}: training has probably diverged."
    if not layers:
        return _without_correlation(view)
    return _how_many(view.hidden, "hidden layer" if len(view.hidden) < len(layers) else "layer")


def _without_correlation(view: View) -> str:
    if all(measure.startswith("wc") for layer in view.layers for measure in layer.series):
        return "No activations were measured, so this report covers weights only."
    if any(layer.of("nc").values for layer in view.layers):
        return "No layer has a defined neuronal correlation: units are constant, not finite, or alone in their layer."
    return "Neuronal correlation was not recorded."


def _how_many(layers: Sequence[Layer], noun: str) -> str:
    together = firing_together(layers)
    if not together:
        return f"No {noun} has units that clearly fire together."
    if len(together) == len(layers):
        return f"The units of {f'the only {noun}' if len(layers) == 1 else f'every {noun}'} measured fire together."
    return f"In {len(together)} of {plural(len(layers), noun)} the units fire together."


def findings(view: View) -> list[Finding]:
    """Return everything that can be said about a run, what needs action first."""
    kinds = (nonfinite, *UNIT_KINDS, trends, independent)
    found = [*redundant(view.hidden), *(finding for find in kinds for finding in find(view.measured))]
    found += [finding for find in INFORMATION_KINDS for finding in find(view.layers)]
    return by_urgency([*found, *_assumed(view), *_left_out(view)])


def _how_measured(layers: Sequence[Layer]) -> str:
    """Return the quantity with the noise floor and the sample sizes of several layers."""
    floors = [layer.last("nc_noise_floor") for layer in layers if isfinite(layer.last("nc_noise_floor"))]
    samples = [layer.n_samples for layer in layers if layer.n_samples is not None]
    if not floors or not samples:
        return _QUANTITY
    return f"{_QUANTITY} Noise floor {spread(floors, number)}, over {spread(samples, count)} samples."


def redundant(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers whose units fire together; give it hidden layers, as it advises a narrower one."""
    together = sorted(firing_together(layers), key=lambda layer: -correlation_at(layer, -1).value)
    level = "act" if together and correlation_at(together[0], -1).value >= STRONG else "watch"
    points = [(layer.name, correlation_at(layer, -1).sentence) for layer in together]
    return about("redundant", level, points, how_measured=_how_measured(together), clear=CLEAR, strong=STRONG)


def independent(layers: Sequence[Layer], *, key: str = "independent, as far as correlation shows") -> list[Finding]:
    """Report layers whose correlation is faint or within that of independent units.

    Args:
        layers: to look at.
        key: the sentences for layers whose dependence is not known.
    """
    faint = [layer for layer in layers if layer.of("nc").defined and correlation_at(layer, -1).high < FAINT]
    texts = [", ".join(filter(None, (correlation_at(one, -1).sentence, of_dependence(one)))) for one in faint]
    key = "independent" if all(map(of_dependence, faint)) else key
    points = zip([layer.name for layer in faint], texts, strict=True)
    return about(key, "note", points, how_measured=_how_measured(faint), faint=FAINT)


def trends(layers: Sequence[Layer]) -> list[Finding]:
    """Report layers whose correlation rose, fell, or rose and fell by more than their intervals."""
    courses: dict[str, list[tuple[str, str]]] = {"rose": [], "fell": [], "peaked": []}
    for layer in layers:
        if (course := direction(layer)) in courses:
            courses[course].append((layer.name, _course(layer)))
    return [finding for course, points in courses.items() for finding in about(course, "note", points, faint=FAINT)]


def _course(layer: Layer) -> str:
    known = (layer.of("nc_debiased") if layer.of("nc_debiased").defined else layer.of("nc")).known
    shown = [known[0], known[-1]]
    peak = max(known, key=lambda point: point[1])
    if peak not in shown and direction(layer) == "peaked":
        shown.insert(1, peak)
    return ", ".join(f"{number(value, 2)} at step {count(step)}" for step, value in shown)


def _assumed(view: View) -> list[Finding]:
    """Report layers whose units no pass has shown."""
    reasons = by_reason({name: reason.removeprefix("assumed: ") for name, reason in view.assumed.items()})
    title = f"Units of {plural(len(view.assumed), 'layer')} were assumed from the module's type"
    remark = "The model could not be followed there: that these are its units is likely, but not known."
    points = tuple((reason, listing(names, MOST_NAMED)) for reason, names in reasons.items())
    return [Finding("assumed", "note", title, points, remark)] if points else []


def _left_out(view: View) -> list[Finding]:
    points = tuple((reason, listing(names, MOST_NAMED)) for reason, names in by_reason(view.left_out).items())
    number = len(view.left_out)
    title = f"{plural(number, 'layer')} {'was' if number == 1 else 'were'} left out"
    return [Finding("left out", "note", title, points)] if points else []
