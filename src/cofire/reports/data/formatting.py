"""Numbers and names as people read them; an unknown value is shown as a dash."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite

from ...stats._base.wording import plural as plural

MISSING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """Format a value to ``digits`` places with a real minus sign; NaN and None become a dash.

    Example:
        >>> number(0.12345), number(-2.5, 1), number(-1e-9), number(float("nan"))
        ('0.123', '−2.5', '0.000', '–')
    """
    if value is None or not isfinite(value):
        return MISSING
    return f"{value:z.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """Format a whole number with commas between thousands.

    Example:
        >>> count(1797), count(None)
        ('1,797', '–')
    """
    return MISSING if value is None or not isfinite(value) else f"{value:,.0f}".replace("-", "−")


def percent(share: float | None) -> str:
    """Format a share of one in percent, never rounded to a false 0 % or 100 %.

    Example:
        >>> percent(0.25), percent(0.001), percent(0.999), percent(0.0)
        ('25 %', '<1 %', '>99 %', '0 %')
    """
    if share is None or not isfinite(share):
        return MISSING
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def listing(names: Sequence[str], most: int = 4) -> str:
    """Join names for a sentence; beyond the first ``most``, only count them.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a", "b", "c"], most=1)
        ('a, b and c', 'a and 2 more')
    """
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    if len(shown) < 2:
        return "".join(shown)
    return ", ".join(shown[:-1]) + " and " + shown[-1]


def by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """Group names by the reason given for each.

    Example:
        >>> by_reason({"2": "pooling", "4": "dropout", "5": "pooling"})
        {'pooling': ['2', '5'], 'dropout': ['4']}
    """
    found: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        found.setdefault(reason, []).append(name)
    return found


def shorten(name: str, longest: int = 28) -> str:
    """Leave out the middle of a long name: the end is what distinguishes layers.

    Example:
        >>> shorten("model.encoder.layers.11.attention.output.dense", 21)
        'model.enc…utput.dense'
    """
    if len(name) <= longest:
        return name
    head = (longest - 1) * 9 // 20
    return name[:head] + "…" + name[head + 1 - longest :]


def labels(names: Iterable[str]) -> dict[str, str]:
    """Return each name without the dotted parts that all names begin with.

    Example:
        >>> labels(["model.layers.0.fc", "model.layers.1.fc", "model.layers.1.fc2"])
        {'model.layers.0.fc': '0.fc', 'model.layers.1.fc': '1.fc', 'model.layers.1.fc2': '1.fc2'}
        >>> labels(["net.fc"]), labels(["a", "a.b"])
        ({'net.fc': 'net.fc'}, {'a': 'a', 'a.b': 'a.b'})
    """
    parts = {name: name.split(".") for name in names}
    shared = 0
    if len(parts) > 1:
        heads = list(zip(*(of[:-1] for of in parts.values()), strict=False))
        shared = next((place for place, head in enumerate(heads) if len(set(head)) > 1), len(heads))
    return {name: ".".join(of[shared:]) for name, of in parts.items()}


def shorten_all(names: Sequence[str], longest: int) -> list[str]:
    r"""Fit names into a narrow column: shorten them if they stay distinct, or else break them into lines after dots.

    If a name does not fit, "…" replaces the dotted parts that all names begin with.

    Example:
        >>> shorten_all(["fc", "encoder.layers.11.attention.dense"], 16)
        ['fc', 'encode…ion.dense']
        >>> shorten_all(["net.layers.0.attention.self.query", "net.layers.1.attention.self.query"], 16)
        ['…0.att…elf.query', '…1.att…elf.query']
        >>> shorten_all(["gate.0.in_projection.dense", "gate.1.in_projection.dense", "head"], 12)
        ['gate.0.in_\nprojection.\ndense', 'gate.1.in_\nprojection.\ndense', 'head']
    """
    if all(len(name) <= longest for name in names):
        return list(names)
    rest = labels(names)
    without_start = [rest[name] if rest[name] == name else f"…{rest[name]}" for name in names]
    ways = (without_start if all(len(one) <= longest for one in without_start) else names), names, without_start
    short = [[shorten(name, longest) for name in way] for way in ways]
    distinct = next((way for way in short if len(set(way)) == len(set(names))), None)
    if distinct is not None:
        return distinct
    # Break only the names that shortening makes equal to another's.
    taken = Counter(one for _, one in set(zip(names, short[-1], strict=True)))
    whole = zip(without_start, short[-1], strict=True)
    return [one if taken[one] == 1 else "\n".join(_lines(name, longest)) for name, one in whole]


def _lines(name: str, longest: int) -> Iterator[str]:
    """Break a name into lines after dots and underscores; shorten a word that is too long for a line."""
    line = ""
    for word in re.findall(r"[^._]*[._]?", name):
        if line and len(line) + len(word) > longest:
            yield line
            line = ""
        line += shorten(word, longest) if len(word) > longest else word
    yield line


def unbroken(text: str) -> str:
    """Return text that no browser breaks into lines inside |ρ|.

    Example:
        >>> len(unbroken("|ρ|")) - len("|ρ|")  # two word joiners, which are invisible
        2
    """
    return text.replace("|ρ|", "|\u2060ρ\u2060|")
