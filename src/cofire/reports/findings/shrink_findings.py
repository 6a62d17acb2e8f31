"""What `cofire shrink` can do about a finding: only what it says itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...nets.shrinking import Forecast
from ..data.formatting import by_reason, count, listing, percent, plural
from ..data.shrink_rows import error_text
from .finding import Finding

ABOUT = ("constant", "narrower", "copies", "zero weights", "redundant")
"""Kinds of findings about units that may go."""
WORTH_SAYING = 0.05
"""The command that is proposed keeps the smallest share whose predicted error is at most this."""
NAMED = 3


@dataclass(frozen=True)
class Advice:
    """What can be cut from a network.

    Attributes:
        forecast: what `shrink` says.
        command: the beginning of the command that cuts it: the network, its weights and the data.
    """

    forecast: Forecast
    command: str


def with_advice(finding: Finding, advice: Advice | None) -> Finding:
    """Return a finding about units that may go with a sentence that says in which layers they can."""
    if finding.kind not in ABOUT or finding.level == "note":
        return finding
    names = [name for name, _ in finding.points if name != "…"]
    said = [finding.advice] if finding.advice else []
    return replace(finding, advice=" ".join([*said, *_sentences(names, advice)]))


def _sentences(names: Sequence[str], advice: Advice | None) -> list[str]:
    if advice is None:
        return ["With the model and data, cofire inspect says which units can go, and what that costs."]
    forecast = advice.forecast
    can = [name for name in names if name in forecast.layers]
    left = by_reason({name: forecast.left[name] for name in names if name in forecast.left and name not in can})
    found = [f"cofire shrink can cut {listing(can, NAMED)}."] if can else []
    return found + [f"It can't cut {listing(some, NAMED)}: {reason}." for reason, some in left.items()]


def what_can_go(advice: Advice | None) -> list[Finding]:
    """Report what can be cut from a network, what that is predicted to cost, and the command that does it."""
    if advice is None:
        return []
    forecast = advice.forecast
    if not forecast.layers:
        points = tuple((listing(names, NAMED), reason) for reason, names in by_reason(forecast.left).items())
        return [Finding("nothing to cut", "note", "cofire shrink can cut none of the layers", points)]
    below = [one for one in forecast.curve if not forecast.spare or one.share < forecast.spare_share]
    points = [(f"{percent(one.share)} of the parameters", error_text(one.predicted)) for one in below]
    if forecast.spare:
        n = plural(sum(forecast.spare.values()), "unit")
        points.insert(0, (f"{percent(forecast.spare_share)} of the parameters", f"no error: {n} that others explain"))
    fit, check = forecast.n_samples
    remark = (
        "How far the outputs move, as a share of their standard deviation, with this share of the "
        f"{count(forecast.n_parameters)} parameters left: predicted on {count(check)} samples from {count(fit)} others."
    )
    title = f"cofire shrink can cut {plural(len(forecast.layers), 'layer')}"
    return [Finding("what can go", "note", title, tuple(points), remark, "For example:", _command(advice))]


def _command(advice: Advice) -> str:
    """Return the command for the smallest size at a small error; for what costs nothing if there is none."""
    cheap = [one.share for one in advice.forecast.curve if one.predicted is not None and one.predicted <= WORTH_SAYING]
    if cheap:
        return f"{advice.command} --keep {min(cheap):.2g} --out smaller"
    if advice.forecast.spare:
        return f"{advice.command} --out smaller"
    return f"{advice.command} --max-loss {WORTH_SAYING:g} --out smaller"
