"""Short names of layers: what tells them apart stays, what all of them share goes."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile

from .run_view import BEFORE_ACTIVATION

LONGEST = 26
TINY = 16
"""Characters of a short name beside a chart, and on a phone."""
CUT = "…"
_PARTS = re.compile(r"[^./]*[./]|[^./]+$")
_WORDS = re.compile(r"[^./:#_\s…-]*[./_\s…-]|[:#]?[^./:#_\s…-]+")
_BEFORE_CUT = re.compile(r"[./_\s-]*…[…]*")


def short_names(names: Iterable[str], longest: int = LONGEST) -> dict[str, str]:
    """Return a short name for each layer, with no two the same.

    The dotted parts that all names begin and end with are left out, see `common_ends`. If a name is still too long, "…"
    replaces the parts that most names begin with, in all of them; then, in names that are too long, the words that tell
    least: those that always follow the words before them, and then the first ones. Names that differ in their numbers
    alone lose the same words. A word that is too long itself is cut to the piece in which it differs from other names.

    Args:
        names: of all layers that are shown together; more of them need longer short names.
        longest: number of characters of a short name, at least 8.

    Returns:
        The short name of each name, of at most ``longest`` characters, none of them empty.

    Example:
        >>> list(short_names(["model.layers.0.fc", "model.layers.1.fc"]).values())
        ['0', '1']
        >>> blocks = [f"encoder.layer.{block}.attention.output.dense" for block in (9, 10)]
        >>> list(short_names([*blocks, "encoder.layer.9.attention.self.query", "head"]).values())
        ['…9.attention.output.dense', '…10.attention.output.dense', '…9.attention.self.query', 'head']
        >>> list(short_names([f"{'x' * 40}{unit}{'y' * 40}" for unit in (9, 10)], 12).values())
        ['…xxx9yyyyyy…', '…xxx10yyyyy…']
    """
    every = list(dict.fromkeys(names))
    start, end = common_ends(every)
    inner = {name: name[len(start) : len(name) - len(end)] or "(model)" for name in every}
    shown = _without_start(inner, longest)
    for kind in (_PARTS, _WORDS):
        shown = _without_words(shown, longest, kind)
    return _distinct(inner, _cut(shown, longest), longest)


def short_site_names(sites: Iterable[str], longest: int = LONGEST) -> dict[str, str]:
    """Return short names of sites: that of a layer, with ``:pre`` for the site before its activation function.

    Example:
        >>> short_site_names(["net.0.fc", "net.0.fc:pre", "net.1.fc"])
        {'net.0.fc': '0', 'net.0.fc:pre': '0:pre', 'net.1.fc': '1'}
    """
    sites = list(dict.fromkeys(sites))
    pre = BEFORE_ACTIVATION if any(site.endswith(BEFORE_ACTIVATION) for site in sites) else ""
    layers = short_names((site.removesuffix(BEFORE_ACTIVATION) for site in sites), longest - len(pre))
    return (
        {site: layers[site.removesuffix(BEFORE_ACTIVATION)] + pre * site.endswith(BEFORE_ACTIVATION) for site in sites}
        if pre
        else layers
    )


def common_ends(names: Iterable[str]) -> tuple[str, str]:
    """Return the dotted parts that all names begin with, and those that all end with; at least one part remains.

    Example:
        >>> common_ends(["net.layers.0.fc", "net.layers.1.fc"]), common_ends(["net.fc"]), common_ends(["a", "a.b"])
        (('net.layers.', '.fc'), ('', ''), ('', ''))
    """
    every = [_PARTS.findall(name) for name in dict.fromkeys(names)]
    if len(every) < 2:
        return "", ""
    start = _shared([parts[:-1] for parts in every])
    # A part keeps its dot at its end; seen from the end of a name, the dot before a part goes with it.
    turned = [_PARTS.findall("".join(parts[len(start) :])[::-1])[:-1] for parts in every]
    return "".join(start), "".join(_shared(turned))[::-1]


def _shared(many: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return what several sequences of parts or letters begin with."""
    length = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*many, strict=False)))
    return many[0][:length]


def _without_start(inner: Mapping[str, str], longest: int) -> dict[str, str]:
    """Leave out the parts that more than half of the names begin with, if any name is too long."""
    if all(len(text) <= longest for text in inner.values()):
        return dict(inner)
    starts = Counter(start for text in inner.values() for start in _starts(text))
    most = max((start for start, many in starts.items() if 2 * many > len(inner)), key=len, default="")
    known = {*_starts(most), most} - {""}
    found = {}
    for name, text in inner.items():
        start = max(known.intersection(_starts(text)), key=len, default="")
        found[name] = CUT + text[len(start) :] if start else text
    return found if len(set(found.values())) == len(found) else dict(inner)


def _starts(text: str) -> list[str]:
    """Return the dotted starts of a name, without the whole."""
    return [text[: place + 1] for place, character in enumerate(text[:-1]) if character in "./"]


def _without_words(shown: Mapping[str, str], longest: int, kind: re.Pattern[str]) -> dict[str, str]:
    """Leave words out of names that are too long, as long as all names stay distinct."""
    words = {name: kind.findall(text) for name, text in shown.items()}
    following: dict[tuple[str, ...], set[str]] = defaultdict(set)
    families: dict[str, list[str]] = defaultdict(list)
    for name, of in words.items():
        families[re.sub(r"\d+", "0", shown[name])].append(name)
        for place in range(len(of) + 1):
            following[tuple(of[:place])].add("".join(of[place : place + 1]))
    taken, found = Counter(shown.values()), dict(shown)
    for family in families.values():
        if max(len(shown[name]) for name in family) > longest:
            taken.subtract(found[name] for name in family)
            found.update(_shorter_family({name: words[name] for name in family}, following, taken, longest))
            taken.update(found[name] for name in family)
    return found


def _shorter_family(
    words: Mapping[str, list[str]],
    following: Mapping[tuple[str, ...], set[str]],
    taken: Mapping[str, int],
    longest: int,
) -> dict[str, str]:
    """Leave the same words out of names that differ in their numbers alone, until they fit."""
    first = next(iter(words.values()))

    def telling(place: int) -> tuple[bool, bool, int]:
        return len(following[tuple(first[:place])]) > 1, any(map(str.isdigit, first[place])), place

    out: set[int] = set()
    shown = {name: "".join(of) for name, of in words.items()}
    for place in sorted(range(len(first)), key=telling):
        size = max(map(len, shown.values()))
        if size <= longest:
            break
        fewer = {name: _joined(of, out | {place}) for name, of in words.items()}
        distinct = len(set(fewer.values())) == len(fewer) and not any(taken[text] > 0 for text in fewer.values())
        if distinct and max(map(len, fewer.values())) < size and any(map(str.isalpha, next(iter(fewer.values())))):
            out.add(place)
            shown = fewer
    return shown


def _joined(words: Sequence[str], out: set[int]) -> str:
    return _BEFORE_CUT.sub(CUT, "".join(CUT if place in out else word for place, word in enumerate(words)))


def _cut(shown: Mapping[str, str], longest: int) -> dict[str, str]:
    """Cut what is still too long to the part in which it first differs from its neighbors in the alphabet."""
    alphabet = ["", *sorted(set(shown.values())), ""]
    differs: dict[str, int] = defaultdict(int)
    for one, other in pairwise(alphabet):
        shared = len(_shared([one, other]))
        for text in (one, other):
            differs[text] = max(differs[text], shared)
    return {
        name: text if len(text) <= longest else _window(text, differs[text], longest) for name, text in shown.items()
    }


def _window(text: str, place: int, longest: int) -> str:
    """Return the piece of a text around a place; a number there is shown from its first digit."""
    room = longest - 2 * len(CUT)
    start = min(place, len(text) - 1)
    while start > max(place - room // 2, 0) and text[start - 1].isdigit():
        start -= 1
    start = max(0, min(start - room // 3, len(text) - room - 1))
    start = 0 if start <= 1 else start
    while start < len(text) - 1 and unicodedata.combining(text[start]):
        start += 1
    end = len(text) if start + room + 1 >= len(text) else start + room + (start == 0)
    return CUT * (start > 0) + text[start:end] + CUT * (end < len(text))


def _distinct(inner: Mapping[str, str], shown: Mapping[str, str], longest: int) -> dict[str, str]:
    """Add numbers to names that look the same; those that were not shortened stay as they are."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in sorted(shown, key=lambda name: shown[name] != inner[name]):
        text, number = shown[name], 1
        while text in used:
            number += 1
            mark = f"·{number}"
            text = shown[name][: longest - len(mark)] + mark
        used.add(text)
        found[name] = text
    return {name: found[name] for name in shown}
