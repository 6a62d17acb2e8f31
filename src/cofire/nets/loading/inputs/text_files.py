"""Texts from .txt, .jsonl, .csv and .parquet files."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")
USUAL = ("text", "sentence", "content")
"""Columns that hold the text where a table has several of strings."""
SIZE = 32
"""Texts in a batch, unless a size was asked for."""


def texts_in(folder: Path) -> list[Path]:
    """Return the files of text in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def read_texts(path: Path, column: str | None = None) -> list[str]:
    r"""Return the texts in a file, without empty ones.

    A ``.txt`` file holds one text a line. Of a table's columns the one that is asked for is read; else ``text``,
    ``sentence`` or ``content``; else the only one that holds strings.

    Args:
        path: the file, in UTF-8.
        column: the column.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds no text, or several columns could be meant.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("label,text\n1,A fine day\n0,Rain\n")
        ...     read_texts(Path(folder, "a.csv"))
        ['A fine day', 'Rain']
    """
    kind = path.suffix.lower()
    if kind == ".txt" and column is not None:
        raise ValueError(f"--column chooses a column of a table, and {path} has one text a line")
    try:
        if kind == ".parquet":
            texts = _from_parquet(path, column)
        elif kind == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                texts = _of_rows(list(csv.DictReader(file)), path, column)
        elif kind == ".jsonl":
            texts = _of_rows(_json_lines(path), path, column)
        else:
            texts = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged, or not {kind} in UTF-8: {error}") from error
    found = [text for text in texts if text.strip()]
    if not found:
        raise ValueError(f"{path} holds no text")
    return found


def chosen_column(names: Sequence[str], place: Path | str, asked: str | None, all_names: Sequence[str] = ()) -> str:
    """Return the name of the column to read, of those that fit.

    Raises:
        ValueError: if there is no such column, or several could be meant.
    """
    known = ", ".join(all_names or names) or "none"
    if asked is not None:
        if asked not in names:
            raise ValueError(f"{place} has no column {asked!r} of the kind that is needed; its columns are {known}")
        return asked
    usual = next((name for name in USUAL if name in names), None)
    if usual is None and len(names) != 1:
        what = "no column that the model could take" if not names else f"several columns ({', '.join(names)})"
        raise ValueError(f"{place} has {what}; name one with --column; its columns are {known}")
    return usual or names[0]


def _of_rows(rows: Sequence[Mapping[str, Any]], path: Path, column: str | None) -> list[str]:
    if not rows:
        return []
    names = [str(name) for name in rows[0]]
    of_text = [
        name for name in rows[0] if any(isinstance(row.get(name), str) and not _number(row[name]) for row in rows)
    ]
    chosen = chosen_column(names if column is not None else of_text, path, column, names)
    return [_string(row.get(chosen), path, chosen) for row in rows]


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True


def _string(value: Any, path: Path, column: str) -> str:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{path}: column {column!r} must hold text, got {type(value).__name__}")
    return value or ""


def _json_lines(path: Path) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}, is not JSON: {error}") from error
            if not isinstance(row, dict | str):
                raise ValueError(f"{path}, line {number}, must be an object or a string, got {type(row).__name__}")
            rows.append({"text": row} if isinstance(row, str) else row)
    return rows


def _from_parquet(path: Path, column: str | None) -> Iterable[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        of_text = [
            one.name for one in schema if pyarrow.types.is_string(one.type) or pyarrow.types.is_large_string(one.type)
        ]
        chosen = chosen_column(of_text, path, column, schema.names)
        values = pyarrow.parquet.read_table(path, columns=[chosen]).column(0).to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} is damaged, or not a parquet file: {str(error).splitlines()[0]}") from error
    return [value or "" for value in values]
