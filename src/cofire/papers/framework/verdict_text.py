"""Text of numbers and verdicts, for the terminal and for the pages."""

import math
from collections.abc import Iterable

from .verdicts import Verdict


def figures(value: float) -> str:
    """Format a number with three significant figures.

    Example:
        >>> figures(0.012345), figures(1234.5), figures(2.0), figures(float("inf"))
        ('0.0123', '1230', '2', '∞')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.3g}")
    return f"{rounded:.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}".replace("-", "−")


def effect_told(verdict: Verdict) -> str:
    """Format a verdict's effect, interval and number of seeds.

    Example:
        >>> effect_told(Verdict("reproduced", 0.5, (0.25, 0.75), 3))
        '0.5 [0.25, 0.75], 3'
    """
    if math.isnan(verdict.effect):
        return verdict.note or "–"
    low, high = verdict.interval
    return f"{figures(verdict.effect)} [{figures(low)}, {figures(high)}], {verdict.n_seeds}"


def duration(seconds: float) -> str:
    """Format seconds in the unit that reads best.

    Example:
        >>> duration(4.2), duration(300), duration(9000), duration(864_000)
        ('4.2 s', '5.0 min', '2.5 h', '10 days')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86_400:,.0f} days"


def counted(verdicts: list[str]) -> str:
    """Count the outcomes of each kind, in words.

    Example:
        >>> counted(["reproduced", "inconclusive", "reproduced"])
        '2 reproduced, 1 inconclusive'
    """
    kinds = "reproduced", "not reproduced", "inconclusive"
    return ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds if kind in verdicts) or "no claims"


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    r"""Format a Markdown table.

    Example:
        >>> print(markdown_table(["network", "|ρ|"], [["mlp", 0.3]]))
        | network | \|ρ\| |
        | --- | --- |
        | mlp | 0.3 |
    """
    head = [_cell(name) for name in header]
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
