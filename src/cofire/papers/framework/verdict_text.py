"""Text of numbers and verdicts, for the terminal and for the pages."""

import math
from collections.abc import Iterable, Sequence
from typing import get_args

from .verdicts import Bar, Verdict, Word

WORDS: tuple[Word, ...] = get_args(Word)


def figures(value: float) -> str:
    """Format a number with three significant figures.

    Example:
        >>> figures(0.012345), figures(-1234.5), figures(2.0), figures(float("inf"))
        ('0.0123', '−1230', '2', '∞')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.3g}")
    return (f"{rounded:.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}").replace("-", "−")


def effect_told(verdict: Verdict) -> str:
    """Format a verdict's number, its interval and the number of repetitions.

    Example:
        >>> from cofire.papers.framework.estimates import Estimate
        >>> effect_told(Verdict("reproduced", Estimate(0.5, 0.125, freedom=2, n=3)))
        '0.5 [−0.0378, 1.04], 3'
    """
    number = verdict.number
    if math.isnan(number.effect):
        return "–"
    low, high = number.interval
    return f"{figures(number.effect)} [{figures(low)}, {figures(high)}], {number.n}"


def numbers_told(verdict: Verdict) -> str:
    """Format a verdict's number, or that of each reading.

    Example:
        >>> readings = {"He": Verdict("reproduced"), "torch": Verdict("not reproduced")}
        >>> numbers_told(Verdict("depends", readings=tuple(readings.items())))
        'He: –; torch: –'
    """
    return "; ".join(f"{name}: {effect_told(one)}" for name, one in verdict.readings) or effect_told(verdict)


def word_told(verdict: Verdict) -> str:
    """Return what is said of a claim, in words.

    Example:
        >>> word_told(Verdict("reproduced", fragile=True)), word_told(Verdict("depends", choice="the initialization"))
        ('reproduced (fragile)', 'depends on the initialization')
    """
    word = f"depends on {verdict.choice}" if verdict.word == "depends" else verdict.word
    return f"{word} (fragile)" if verdict.fragile else word


def bar_told(bar: Bar) -> str:
    """Return what a claim's number must reach, with the reason.

    Example:
        >>> bar_told(Bar(above=0, margin=0.01, why="less is within the noise"))
        'at least 0.01: less is within the noise'
        >>> bar_told(Bar(above=0.17, below=0.27))
        '0.17 to 0.27'
    """
    low, high = bar.ends
    if math.isinf(high):
        told = f"at least {figures(low)}"
    elif math.isinf(low):
        told = f"at most {figures(high)}"
    else:
        told = f"{figures(low)} to {figures(high)}"
    return f"{told}: {bar.why}" if bar.why else told


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


def counted(words: Sequence[Word]) -> str:
    """Count the verdicts of each kind, in words.

    Example:
        >>> counted(["reproduced", "depends", "reproduced"])
        '2 reproduced, 1 depends on a choice'
    """
    names = {**dict(zip(WORDS, WORDS, strict=True)), "depends": "depends on a choice"}
    return ", ".join(f"{words.count(word)} {names[word]}" for word in WORDS if word in words) or "no claims"


_SAID: dict[Word, tuple[str, str]] = {
    "reproduced": ("is reproduced", "are reproduced"),
    "not reproduced": ("is not reproduced", "are not reproduced"),
    "depends": ("depends on {}", "depend on {}"),
    "not at this scale": ("cannot be decided at this scale", "cannot be decided at this scale"),
    "inconclusive": ("needs more repetitions", "need more repetitions"),
}


def came_out(verdicts: Sequence[Verdict]) -> str:
    """Say what came out of claims, as the end of a sentence; of a single one without its number.

    Example:
        >>> came_out([Verdict("reproduced"), Verdict("reproduced"), Verdict("depends", choice="the reading of WC")])
        '2 are reproduced and 1 depends on the reading of WC'
        >>> came_out([Verdict("inconclusive")])
        'needs more repetitions'
    """
    words = [one.word for one in verdicts]
    choices = listed(list(dict.fromkeys(one.choice for one in verdicts if one.word == "depends")))
    told = {word: _SAID[word][words.count(word) > 1].format(choices) for word in WORDS if word in words}
    return listed([f"{words.count(word)} {said}" if len(words) > 1 else said for word, said in told.items()])


def listed(texts: Sequence[str]) -> str:
    """Join texts as in a sentence.

    Example:
        >>> listed(["one", "two", "three"])
        'one, two and three'
    """
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


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
