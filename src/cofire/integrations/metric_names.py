"""Names under which numbers go to other frameworks: one alphabet that TensorBoard, W&B and MLflow all accept."""

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
    """The name of each row: ``cofire/<layer>/<quantity>``; numbers of the whole run are ``cofire/run/<quantity>``.

    Only letters, digits and ``_ . - /`` occur. Different rows of a run have different names: what has to be replaced
    in a name, or is longer than 80 characters, leaves a checksum of the whole; a call is ``layer--1``, the stage before
    the activation ``layer--pre``. Where one quantity of a layer comes with several parameters, the first to arrive has
    the plain name and the others end in a checksum of theirs.

    Example:
        >>> row = Row("", 1, 0, "encoder.0#1:pre", "nc", "{}", 0.5, 10, 0)
        >>> names = Names()
        >>> names(row), names(row._replace(site="", measure="loss"))
        ('cofire/encoder.0--1--pre/nc', 'cofire/run/loss')
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}

    def __call__(self, row: Row) -> str:
        """The name of a row's number."""
        first = self._first.setdefault((row.site, row.measure), row.parameters)
        other = "" if row.parameters == first else f"--p{_checksum(row.parameters)}"
        return name(row.site, row.measure) + other


def name(site: str, quantity: str) -> str:
    """The name of a quantity of a site, as rows have them.

    Example:
        >>> name("block/a b", "nc")
        'cofire/block-a-b--xc56b8a41/nc'
    """
    found = _SITE.fullmatch(site)
    layer, call, pre = found.groups() if found else (site, None, None)
    suffix = (f"--{call}" if call else "") + ("--pre" if pre else "")
    return f"{ROOT}/{_layer(layer)}{suffix}/{_part(quantity)}"


def _layer(layer: str) -> str:
    """The layer's part; one that is called as the whole run is does not pass for it."""
    return RUN if not layer else _part(layer, taken=RUN)


def _part(text: str, *, taken: str = "") -> str:
    usable = _PLAIN.fullmatch(text) and "--" not in text and text.strip(".") and len(text) <= LONGEST
    if usable and text != taken:
        return text
    return f"{_UNUSABLE.sub('-', text)[:LONGEST].strip('.-')}--x{_checksum(text)}"


def _checksum(text: str) -> str:
    return blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
