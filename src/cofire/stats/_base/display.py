"""Results as tables of names and values, for a terminal of 80 columns and for notebooks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

from torch import Tensor

COLUMNS = 80
LISTED = 8


class Shown:
    """Base of dataclasses that are results: ``print(result)`` and notebooks show a table; ``repr`` stays unchanged.

    Floats have four digits. Tensors are shown by shape, range and median, long lists by their first entries.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Found(Shown):
        ...     mean: float
        ...     interval: tuple[float, float]
        >>> print(Found(0.123456, (0.1, 0.15)))
        Found
          mean      0.1235
          interval  [0.1, 0.15]
    """

    def __str__(self) -> str:
        rows = list(_rows(self))
        width = max((len(name) for name, _ in rows), default=0)
        lines = [f"  {name:<{width}}  {value}" for name, value in rows]
        return "\n".join([type(self).__name__, *(_cut(line) for line in lines)])

    def _repr_html_(self) -> str:
        if type(self).__str__ is not Shown.__str__:  # a class with its own text
            return f"<pre>{escape(str(self))}</pre>"
        return html_facts(type(self).__name__, _rows(self))


def html_facts(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values."""
    left = 'style="text-align:left"'
    cells = "".join(f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table><caption>{escape(title)}</caption><tbody>{cells}</tbody></table>"


def text_table(columns: Mapping[str, Sequence[str]]) -> list[str]:
    r"""Return the lines of a table: titles above cells, the first column to the left, all others to the right.

    Example:
        >>> print(*text_table({"layer": ["0", "2"], "units": ["64", "3"]}), sep="\n")
        layer  units
        0         64
        2          3
    """
    cells = []
    for title, column in columns.items():
        width = max(map(len, (title, *column)))
        cells.append([cell.rjust(width) if cells else cell.ljust(width) for cell in (title, *column)])
    return ["  ".join(row).rstrip() for row in zip(*cells, strict=True)]


def _rows(result: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values of the fields; fields of nested results have dotted names."""
    for name in (one.name for one in fields(result)):
        value = getattr(result, name)
        if is_dataclass(value):
            yield from _rows(value, f"{prefix}{name}.")
        elif name.endswith("interval"):
            yield prefix + name, f"[{', '.join(map(_text, value))}]"
        else:
            yield prefix + name, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Tensor):
        return _of_tensor(value)
    return _of_several(value) if isinstance(value, tuple | list) else " ".join(str(value).split())


def _of_several(values: "tuple[Any, ...] | list[Any]") -> str:
    """Return the first few entries, and how many there are."""
    if values and is_dataclass(values[0]):
        return f"{len(values)} of {type(values[0]).__name__}"
    listed = ", ".join(_text(one) for one in values[:LISTED])
    return f"{len(values)}: {listed}, …" if len(values) > LISTED else listed or "none"


def _of_tensor(x: Tensor) -> str:
    """Return a number as text, or a tensor's shape and the range of its finite entries."""
    if x.ndim == 0:
        return _text(x.item())
    shape = " × ".join(map(str, x.shape))
    finite = x[x.isfinite()]
    if not len(finite):
        return f"{shape}, no finite entry"
    low, middle, high = (_text(one.item()) for one in (finite.min(), finite.double().median(), finite.max()))
    return f"{shape}: {low} to {high}, median {middle}"


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"
