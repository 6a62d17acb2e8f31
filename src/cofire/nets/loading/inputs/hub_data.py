"""Data sets of Hugging Face's datasets: from the hub, or a folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..libraries.preprocessing import Preprocessing, first_line
from .images import opened
from .sounds import batch_of_sounds
from .text_files import chosen_column

PREFIX = "datasets:"
SPLITS = ("test", "validation")
"""Splits that are taken before others."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a data set, of which one column goes to the model.

    Attributes:
        data: the data set.
        kind: ``"images"``, ``"sounds"``, ``"texts"`` or ``"numbers"``.
        columns: what goes to the model: one column, or several numbers as keyword inputs.
        labels: the column of labels, if there is one.
        split: the name of the split.
    """

    data: Any
    kind: str
    columns: tuple[str, ...]
    labels: str | None
    split: str

    def batches_by(self, preprocessing: Preprocessing) -> Callable[[Sequence[int]], Any]:
        """Return a function that makes a batch of some rows."""
        sounds = batch_of_sounds(preprocessing)

        def make(indices: Sequence[int]) -> Any:
            rows = [self.data[index] for index in indices]
            values = [row[self.columns[0]] for row in rows]
            if self.kind == "texts":
                return preprocessing.texts([value or "" for value in values])
            if self.kind == "numbers":
                return self._numbers(rows)
            files = [_file(value, self.columns[0]) for value in values]
            if self.kind == "sounds":
                return sounds(files)
            mode = preprocessing.image_mode
            batch = preprocessing.images([opened(file, f"an image of {self.columns[0]!r}", mode) for file in files])
            if self.labels is None or not isinstance(batch, Tensor):
                return batch
            return batch, torch.tensor([self._label(row, preprocessing) for row in rows])

        return make

    def _numbers(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        try:
            found = {name: torch.tensor([row[name] for row in rows]) for name in self.columns}
        except (ValueError, TypeError) as error:
            raise ValueError(f"rows of {', '.join(self.columns)} have several lengths; pad them: {error}") from error
        if len(found) > 1:
            return found
        (inputs,) = found.values()
        if self.labels is None:
            return inputs
        return inputs, torch.tensor([row[self.labels] for row in rows])

    def _label(self, row: Mapping[str, Any], preprocessing: Preprocessing) -> int:
        assert self.labels is not None
        number = row[self.labels]
        names = getattr(self.data.features[self.labels], "names", None) or ()
        known = preprocessing.label_of
        return known[names[number]] if names and set(names) <= known.keys() else number


def is_saved(folder: Path) -> bool:
    """Return whether a folder is one that ``save_to_disk`` wrote."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def read_rows(text: str, preprocessing: Preprocessing, column: str | None) -> Rows:
    """Return the rows that ``[datasets:]NAME[:CONFIG][:SPLIT]`` names; NAME is a hub id or a folder.

    Raises:
        ModuleNotFoundError: if datasets is not installed.
        ValueError: if there is no such data set, split or column, or no column that the model could take.
    """
    name, *rest = text.removeprefix(PREFIX).split(":")
    if len(rest) > 2:
        raise ValueError(
            f"a data set is datasets:NAME, datasets:NAME:SPLIT or datasets:NAME:CONFIG:SPLIT; got {text!r}"
        )
    config, asked = rest[0] if len(rest) == 2 else None, rest[-1] if rest else None
    data, split = _split(_loaded(name, config), text, asked)
    kind, columns = _chosen(data, preprocessing, column, text)
    data = _undecoded(data, kind, columns[0])
    labels = [name for name, one in data.features.items() if type(one).__name__ == "ClassLabel"]
    labels += [name for name in ("label", "labels") if name in data.features and name not in (*labels, *columns)]
    return Rows(data, kind, columns, labels[0] if labels else None, split)


def _loaded(name: str, config: str | None) -> Any:
    import datasets  # pyright: ignore[reportMissingImports] - users install it

    folder = Path(name)
    try:
        if folder.is_dir() and is_saved(folder):
            return datasets.load_from_disk(name)
        return datasets.load_dataset(name, config)
    except Exception as error:  # what fails in it is the hub's, the network's or the file's
        raise ValueError(
            f"datasets could not load {name!r}, {first_line(error)}; check the name and the network, or name a folder "
            "of save_to_disk"
        ) from error


def _split(found: Any, text: str, asked: str | None) -> tuple[Any, str]:
    if not isinstance(found, Mapping):
        if asked is not None and asked != str(found.split):
            raise ValueError(f"{text} is one split, {found.split}; leave out {asked!r}")
        return found, str(found.split or "all")
    names = list(found)
    if asked is not None and asked not in names:
        raise ValueError(f"{text} has no split {asked!r}; it has {', '.join(names)}")
    chosen = asked or next((name for name in SPLITS if name in names), names[0])
    return found[chosen], chosen


def _chosen(data: Any, preprocessing: Preprocessing, column: str | None, text: str) -> tuple[str, tuple[str, ...]]:
    """Return which kind of column goes to the model, and its name."""
    kinds = {name: _kind(feature) for name, feature in data.features.items()}
    if column is not None:
        chosen = chosen_column([name for name, kind in kinds.items() if kind], text, column, list(kinds))
        return kinds[chosen] or "", (chosen,)
    taken = signature(preprocessing.model.forward).parameters
    by_name = tuple(name for name, kind in kinds.items() if kind == "numbers" and name in taken and name != "labels")
    if by_name:
        return "numbers", by_name
    for kind in dict.fromkeys((preprocessing.takes, "images", "sounds", "texts", "numbers")):
        names = [name for name, one in kinds.items() if kind and one == kind]
        if names:
            return str(kind), (chosen_column(names, text, None, list(kinds)),)
    raise ValueError(f"{text} has no column that a model could take; its columns are {', '.join(kinds)}")


def _kind(feature: Any) -> str | None:
    name, dtype = type(feature).__name__, str(getattr(feature, "dtype", ""))
    if name in ("Image", "Audio"):
        return "images" if name == "Image" else "sounds"
    if name == "Value":
        return "texts" if dtype in ("string", "large_string") else None  # single numbers are labels and counts
    return "numbers" if name in ("Sequence", "List", "LargeList") or name.startswith("Array") else None


def _undecoded(data: Any, kind: str, column: str) -> Any:
    """Return the data with files as bytes: decoding them as the model's library wants is done here."""
    import datasets  # pyright: ignore[reportMissingImports] - users install it

    if kind == "images":
        return data.cast_column(column, datasets.Image(decode=False))
    return data.cast_column(column, datasets.Audio(decode=False)) if kind == "sounds" else data


def _file(value: Mapping[str, Any] | None, column: str) -> Path | bytes:
    if value is None or not (value["bytes"] or value["path"]):
        raise ValueError(f"a row has nothing in {column!r}; leave such rows out")
    return value["bytes"] or Path(value["path"])
