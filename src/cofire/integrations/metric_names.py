"""Names of numbers in other frameworks, in the characters that TensorBoard, W&B and MLflow all accept."""

import re
from hashlib import blake2s

from ..record import Row

ROOT = "cofire"
RUN = "run"
LONGEST = 80

_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.]+")
_SITE = re.compile(r"(.*?)(?:#(\d+))?(:pre)?", re.DOTALL)


class Names:
    """Names rows ``cofire/<layer>/<quantity>``, and numbers of the whole run ``cofire/run/<quantity>``.

    Names hold letters, digits and ``_ . - /`` only, and different rows of a run get different names: a part with other
    characters, or with more than 80, ends in a checksum of the original. A call is ``layer--1``, the stage before the
    activation function ``layer--pre``. If a layer has one quantity with several sets of parameters, the first to arrive
    gets the plain name and the others end in a checksum of their parameters; those of another mode end in its name.

    Example:
        >>> row = Row("", 1, 0, "encoder.0#1:pre", "nc", "{}", 0.5, 10, 0)
        >>> names = Names()
        >>> names(row), names(row._replace(site="", measure="loss"))
        ('cofire/encoder.0--1--pre/nc', 'cofire/run/loss')
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[str, str]] = {}

    def __call__(self, row: Row) -> str:
        """Return the name of a row's number."""
        parameters, mode = self._first.setdefault((row.site, row.measure), (row.parameters, row.mode))
        other = "" if row.parameters == parameters else f"--p{_checksum(row.parameters)}"
        other += "" if row.mode == mode else f"--{row.mode or 'other'}"
        return name(row.site, row.measure) + other


def name(site: str, quantity: str) -> str:
    """Return the name of a quantity at a site.

    Example:
        >>> name("block/a b", "nc")
        'cofire/block-a-b--xc56b8a41/nc'
    """
    found = _SITE.fullmatch(site)
    layer, call, pre = found.groups() if found else (site, None, None)
    suffix = (f"--{call}" if call else "") + ("--pre" if pre else "")
    # A layer that happens to be called "run" gets a checksum, so that it can't be mistaken for the whole run.
    return f"{ROOT}/{_part(layer, taken=RUN) if layer else RUN}{suffix}/{_part(quantity)}"


def _part(text: str, *, taken: str = "") -> str:
    """Return text as it is if it is usable, else a usable form with a checksum."""
    usable = _PLAIN.fullmatch(text) and "--" not in text and text.strip(".") and len(text) <= LONGEST
    if usable and text != taken:
        return text
    return f"{_UNUSABLE.sub('-', text)[:LONGEST].strip('.-')}--x{_checksum(text)}"


def _checksum(text: str) -> str:
    return blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
