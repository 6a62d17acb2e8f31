"""Rows of a table in the formats of other programs."""

import csv
import io
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...stats._base.whole_files import replaced

if TYPE_CHECKING:
    import pandas

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula."""


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows to a CSV file with a header; text that would be a formula gets an apostrophe before it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    with replaced(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def to_pandas(rows: Sequence[Any], columns: Sequence[str]) -> "pandas.DataFrame":
    """Return rows as a data frame; raise an ImportError if pandas is absent."""
    return _need("pandas").DataFrame(rows, columns=list(columns))


def write_parquet(path: str | Path, rows: Sequence[Any], columns: Sequence[str]) -> None:
    """Write rows to a Parquet file; raise an ImportError if pandas or pyarrow is absent."""
    _need("pyarrow")
    frame = to_pandas(rows, columns)
    with replaced(path) as file:
        frame.to_parquet(file, index=False)


def refuse_same(path: str | Path, source: Path) -> None:
    """Raise a ValueError if an export would overwrite the table that it is made of."""
    if Path(path).exists() and source.exists() and source.samefile(path):
        raise ValueError(f"{path} is the table that is exported; name another file")


def _need(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f'this needs {package}; install it with: pip install "cofire[pandas]"') from error
