"""`Evidence`: the recorded numbers of the published figures, in small Parquet files that anyone can judge again."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...record.runs.rows import canonical
from ...stats._base.whole_files import replaced
from .experiment import Experiment, Scale
from .repetitions import Failure, Found, Number, Repetition

if TYPE_CHECKING:
    import pyarrow

LARGEST = 20_000_000
"""Bytes that all evidence may take."""
TEXTS = ("settings", "device", "measure", "site", "parameters")
COUNTS = ("seed", "step", "epoch", "n_samples", "version")
NUMBERS = ("value", "seconds")
DELTAS = ("seed", "step", "epoch")
_FACTS = b"cofire"


class Source(Protocol):
    """Something that keeps finished repetitions: `Evidence`, or the `Results` of runs."""

    def found(self, experiment: Experiment, scale: Scale) -> Found:
        """Return the repetitions of the points of a scale's grid."""
        ...


class Evidence:
    """The evidence in a folder, one file for each training and scale: ``jin2022.fig5.paper.parquet``.

    A file has one row per recorded number. The same numbers give the same bytes. Values are float32.

    Args:
        folder: the folder; created by the first file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, experiment: Experiment, scale: Scale) -> Path:
        """Return the file of an experiment's training at a scale."""
        return self.folder / f"{experiment.training}.{scale}.parquet"

    def published(self, experiment: Experiment) -> Scale | None:
        """Return the largest scale for which there is evidence, or None."""
        return next((one for one in reversed(experiment.scales) if self.path(experiment, one).is_file()), None)

    def found(self, experiment: Experiment, scale: Scale) -> Found:
        """Return the repetitions of the points of a scale's grid; none if there is no file.

        Raises:
            ValueError: if the file is damaged, or of another version of the experiment.
            ImportError: if pyarrow is not installed.
        """
        path = self.path(experiment, scale)
        if not path.is_file():
            return Found()
        columns, facts = _read(path)
        if odd := set(columns["version"]) - {experiment.version}:
            raise ValueError(
                f"{path} was recorded by version {min(odd)} of {experiment.training}, which is now at version "
                f"{experiment.version}; remove the file and run the experiment again with --write-docs"
            )
        points = {canonical(point) for point in experiment.grid[scale]}
        failures = (Failure(settings, device, tuple(seeds), error) for settings, device, seeds, error in facts)
        repetitions = [one for one in _repetitions(columns) if one.settings in points]
        return Found.of(repetitions, [one for one in failures if one.settings in points])

    def write(self, experiment: Experiment, scale: Scale, found: Found) -> Path:
        """Write what was found in place of the file; return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(experiment, scale)
        content = _packed(found, experiment.version)
        with replaced(path) as file:
            file.write(content)
        return path


def _packed(everything: Found, version: int) -> bytes:
    """Return the bytes of a file: rows sorted so that neighbors are alike, texts as numbers of a dictionary."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = sorted(
        (
            one.settings,
            one.device,
            *found[:3],
            one.seed,
            *found[3:5],
            found.n_samples,
            version,
            found.value,
            one.seconds,
        )
        for one in everything.repetitions.values()
        for found in one.numbers
    )
    names = (*TEXTS, *COUNTS, *NUMBERS)
    kinds = {**dict.fromkeys(TEXTS, pa.string()), **dict.fromkeys(COUNTS, pa.int32())}
    fields = [pa.field(name, kinds.get(name, pa.float32()), nullable=False) for name in names]
    facts = {_FACTS: json.dumps([list(one) for one in everything.failures]).encode()}
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=facts))
    encodings = {"value": "BYTE_STREAM_SPLIT", **dict.fromkeys(DELTAS, "DELTA_BINARY_PACKED")}
    options: dict[str, Any] = {"use_dictionary": [name for name in names if name not in encodings]}
    options |= {"column_encoding": encodings, "row_group_size": max(len(rows), 1), "write_statistics": False}
    packed = BytesIO()
    parquet.write_table(table, packed, compression="zstd", compression_level=12, **options)
    return packed.getvalue()


def _read(path: Path) -> tuple[Mapping[str, Sequence[Any]], Sequence[Any]]:
    """Return a file's columns, and its failed tasks."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(BytesIO(path.read_bytes()), read_dictionary=list(TEXTS), use_threads=False)
        columns = {name: _listed(table.column(name)) for name in (*TEXTS, *COUNTS, *NUMBERS)}
        return columns, json.loads((table.schema.metadata or {})[_FACTS])
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a file of evidence: {error}") from error


def _listed(column: "pyarrow.ChunkedArray") -> list[Any]:
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column.to_pylist()
    found: list[Any] = []
    for chunk in column.chunks:
        texts = chunk.dictionary.to_pylist()  # each text once: rows share it
        found += [texts[index] for index in chunk.indices.to_pylist()]
    return found


def _repetitions(columns: Mapping[str, Sequence[Any]]) -> list[Repetition]:
    keys = zip(*(columns[name] for name in ("settings", "device", "seed", "seconds")), strict=True)
    numbers = map(Number._make, zip(*(columns[name] for name in Number._fields), strict=True))
    parts: dict[tuple[str, str, int, float], list[Number]] = {}
    for key, number in zip(keys, numbers, strict=True):
        parts.setdefault(key, []).append(number)
    return [Repetition(*key, own) for key, own in parts.items()]
