"""The page of a comparison of two networks."""

from math import isfinite
from pathlib import Path
from typing import Any

from ..charts.dumbbells import MOST, draw, dumbbells
from ..data.comparison import COMPARED, NOTABLE_WC, Comparison
from ..data.short_names import short_names
from ..findings import meanings
from ..findings.comparison_findings import findings, headline, remark
from .html import rendered, written

SHORT = 34
LARGEST_REAL = (
    "The largest difference that stands out from chance among all layers: its interval leaves out 0 even when the "
    "intervals of all layers are widened to hold together in 95 % of cases (Bonferroni). Intervals treat the two "
    "networks as independent; for two that saw the same data they are too wide."
)
ENDS = ("value", "low", "high")


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write a comparison as a single HTML page that opens offline.

    Args:
        comparison: what to show.
        path: the file to write; it is replaced only once the page is complete.

    Returns:
        The path written to.

    Raises:
        OSError: if the page cannot be written.
    """
    main = comparison.main
    n_layers = len(comparison.by_effect(main))
    sizes = [MOST, n_layers] if n_layers > MOST else [n_layers] if n_layers else []
    columns, rows = numbers(comparison, main)
    page = rendered(
        "comparison.html",
        comparison=comparison,
        headline=headline(comparison),
        remark=remark(comparison),
        findings=findings(comparison),
        figures=[dumbbells(comparison, main, most=most) for most in sizes],
        dumbbells=draw,
        threshold=threshold(main),
        columns=columns,
        rows=rows,
        quantities=COMPARED,
        labels=short_names((pair.layer for pair in comparison.pairs), SHORT),
        made=_made(comparison),
        meanings=_meanings(comparison),
    )
    return written(page, path)


def threshold(quantity: str) -> str:
    """Return in words from which size on a difference of a quantity is real."""
    if quantity == "wc":
        return f"The numbers are exact; changes below {NOTABLE_WC} do not count."
    if quantity == "rank":
        return "How far chance moves it is not known, so that no change of it counts as real."
    if COMPARED[quantity].interval is None:
        return "The numbers are exact."
    return "A change is real if the 95 % interval of the difference leaves out 0."


def numbers(comparison: Comparison, quantity: str) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows behind the figure, with None for what is not known."""
    columns = [
        "layer",
        *(f"{side}{end}" for side in ("first", "second", "difference") for end in ("", "_low", "_high")),
    ]
    rows = []
    for pair in comparison.by_effect(quantity):
        estimates = pair.a[quantity], pair.b[quantity], pair.difference(quantity)
        found = [getattr(one, end) for one in estimates for end in ENDS]
        rows.append([pair.layer, *(one if isfinite(one) else None for one in found), pair.real(quantity)])
    return [*columns, "real"], rows


def _made(comparison: Comparison) -> list[tuple[str, str]]:
    sides = (("first", comparison.a), ("second", comparison.b))
    return [
        pair
        for label, side in sides
        for pair in ((label, side.name), *((f"{label}, {name}", value) for name, value in side.made.items()))
    ]


def _meanings(comparison: Comparison) -> list[meanings.Meaning]:
    by_weights = "weights" in (comparison.a.kind, comparison.b.kind)
    told = {
        "constant": (meanings.DEAD if by_weights else meanings.CONSTANT,),
        "nc": (meanings.CORRELATION[0], meanings.INTERVAL),
        "wc": (meanings.WEIGHT_CORRELATION,),
        "rank": (meanings.RANK,),
        "width": (meanings.width(),),
    }
    found = [
        (title, f"{meaning} {threshold(name)}" if place == 0 else meaning)
        for name in comparison.quantities
        if name in told
        for place, (title, meaning) in enumerate(told[name])
    ]
    return [*found, ("Largest real change", LARGEST_REAL)]
