"""Data, as named on a command line or in a call, as batches for a model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..batches import BATCH, FirstSamples, as_batches
from ..factories import build_loader, is_factory
from ..libraries.named_models import HUB_ID
from ..libraries.preprocessing import Preprocessing
from .hub_data import PREFIX, is_saved, read_rows
from .images import SUFFIXES as IMAGES
from .images import batch_of_images, images_in
from .in_parts import InParts
from .noise import Noise, is_noise
from .npy_files import Arrays
from .sounds import batch_of_sounds, sounds_in
from .tensor_files import Split, read_npz, read_pt
from .text_files import SIZE as TEXTS_IN_A_BATCH
from .text_files import SUFFIXES as TEXTS
from .text_files import read_texts, texts_in

ACCEPTED = (
    f"a file or folder of images ({', '.join(IMAGES)}), text ({', '.join(TEXTS)}), sounds (.wav) or arrays (.npy; "
    ".npz and .pt as files); datasets:NAME or a folder of save_to_disk; module:loader; or random"
)
NOT_DATA = (
    "the inputs are random numbers, not data: activations, and all that follows from them, say nothing of real inputs"
)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Batches to run a model on; every pass starts anew.

    Attributes:
        batches: tensors, (inputs, labels), or keyword inputs.
        kind: ``"images"``, ``"texts"``, ``"sounds"``, ``"arrays"``, ``"numbers"``, ``"loader"`` or ``"random"``.
        notes: how they were made, in sentences without a period.
        dtype: of all floating-point inputs; None leaves them as they are.
    """

    batches: Iterable[Any]
    kind: str
    notes: tuple[str, ...] = ()
    dtype: torch.dtype | None = None

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            yield batch if self.dtype is None else _cast(batch, self.dtype)

    def __length_hint__(self) -> int:
        return length_hint(self.batches)


@dataclass(frozen=True)
class Wanted:
    """How data are to be read.

    Attributes:
        most: how many inputs at most: evenly spaced ones of files, texts and rows, the first of arrays and loaders.
        size: inputs in a batch; by default as many as hold about four million numbers, at most 512, or 32 texts.
        column: the column of a table or data set to read.
        dtype: of floating-point inputs.
    """

    most: int = 5000
    size: int | None = None
    column: str | None = None
    dtype: torch.dtype | None = None


def find_inputs(
    data: str, preprocessing: Preprocessing, wanted: Wanted, known: Mapping[str, Callable[[], Any]] | None = None
) -> Inputs:
    """Return the batches that a text names, prepared as the model's library does.

    Args:
        data: a folder, a file, ``datasets:NAME``, ``module:loader`` or ``random``.
        preprocessing: of the model.
        wanted: how to read them.
        known: data sets by name, each with a function that returns all of it as one batch.

    Raises:
        FileNotFoundError: if the file does not exist.
        ModuleNotFoundError: if a library that is needed is not installed.
        ValueError: if the data are of unknown kind, damaged or unsafe, or the model can't take such.
    """
    path, known = Path(data), known or {}
    if data in known:
        found = Inputs(FirstSamples(Split(known[data](), wanted.size), n_samples=wanted.most), "arrays")
    elif is_noise(data):
        found = Inputs(Noise(data, preprocessing, most=wanted.most, size=wanted.size), "random", (NOT_DATA,))
    elif path.exists() and not (path.is_dir() and is_saved(path)):
        found = _in_folder(path, preprocessing, wanted) if path.is_dir() else _in_file(path, preprocessing, wanted)
    elif data.startswith(PREFIX) or path.exists():
        found = _rows(data, preprocessing, wanted)
    elif is_factory(data):
        found = _loader(data, wanted)
    elif HUB_ID.fullmatch(data) and not path.parent.exists():
        found = _rows(data, preprocessing, wanted)
    else:
        names = f"; or {', '.join(known)}" if known else ""
        raise ValueError(f"{data!r} was not found; --data takes {ACCEPTED}{names}")
    if wanted.column is not None and found.kind not in (
        "texts",
        *(() if path.exists() else ("images", "sounds", "numbers")),
    ):
        raise ValueError(f"--column chooses a column of a table or data set, and {data} has none")
    return Inputs(found.batches, found.kind, found.notes, wanted.dtype)


def _in_folder(folder: Path, preprocessing: Preprocessing, wanted: Wanted) -> Inputs:
    found = {"images": images_in(folder), "sounds": sounds_in(folder), "arrays": sorted(folder.glob("*.npy"))}
    kinds = [kind for kind, paths in found.items() if paths]
    if len(kinds) > 1:
        counts = " and ".join(f"{len(found[kind])} {kind}" for kind in kinds)
        raise ValueError(f"{folder} holds {counts}; keep one kind in the folder")
    if not kinds and (texts := texts_in(folder)):
        return _texts(texts, preprocessing, wanted)
    if not kinds:
        raise ValueError(f"{folder} is a folder without data; --data takes {ACCEPTED}")
    (kind,) = kinds
    if kind == "images":
        return _images(folder, found[kind], preprocessing, wanted)
    return _sounds(found[kind], preprocessing, wanted) if kind == "sounds" else _arrays(folder, wanted)


def _in_file(path: Path, preprocessing: Preprocessing, wanted: Wanted) -> Inputs:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _arrays(path, wanted)
    if suffix in (".npz", ".pt", ".pth"):
        return _tensors(path, wanted)
    if suffix in TEXTS:
        return _texts([path], preprocessing, wanted)
    if suffix == ".wav":
        return _sounds([path], preprocessing, wanted)
    if suffix in IMAGES:
        return _images(path.parent, [path], preprocessing, wanted)
    raise ValueError(f"{path} is no kind of data that is known; --data takes {ACCEPTED}")


def _arrays(place: Path, wanted: Wanted) -> Inputs:
    return Inputs(FirstSamples(Arrays(place, wanted.size or BATCH), n_samples=wanted.most), "arrays")


def _tensors(path: Path, wanted: Wanted) -> Inputs:
    whole = read_npz(path) if path.suffix.lower() == ".npz" else read_pt(path)
    if isinstance(whole, list):
        _check_no_size(path, wanted)
        batches: Iterable[Any] = whole
    else:
        batches = Split(whole, wanted.size)
    return Inputs(FirstSamples(batches, n_samples=wanted.most), "arrays")


def _images(folder: Path, paths: list[Path], preprocessing: Preprocessing, wanted: Wanted) -> Inputs:
    make = batch_of_images(preprocessing, folder, paths)
    prepared = (
        f"prepared by {preprocessing.by}" if preprocessing.by else "as they are: channels from 0 to 1, not resized"
    )
    return Inputs(_parts(paths, make, wanted), "images", (f"{_of(len(paths), 'images', wanted)}, {prepared}",))


def _texts(paths: list[Path], preprocessing: Preprocessing, wanted: Wanted) -> Inputs:
    texts = [text for path in paths for text in read_texts(path, wanted.column)]
    batches = _parts(texts, preprocessing.texts, wanted, TEXTS_IN_A_BATCH)
    return Inputs(batches, "texts", (f"{_of(len(texts), 'texts', wanted)}, tokenized by {preprocessing.by}",))


def _sounds(paths: list[Path], preprocessing: Preprocessing, wanted: Wanted) -> Inputs:
    batches = _parts(paths, batch_of_sounds(preprocessing), wanted)
    by = f", prepared by {preprocessing.by}; where it pads sounds to one length, padding counts as samples"
    prepared = by if preprocessing.by else ", as they are"
    return Inputs(batches, "sounds", (f"{_of(len(paths), 'sounds', wanted)}{prepared}",))


def _rows(data: str, preprocessing: Preprocessing, wanted: Wanted) -> Inputs:
    rows = read_rows(data, preprocessing, wanted.column)
    size = TEXTS_IN_A_BATCH if rows.kind == "texts" else None
    batches = _parts(range(len(rows.data)), rows.batches_by(preprocessing), wanted, size)
    note = f"{_of(len(rows.data), 'rows', wanted)} of the split {rows.split}, column {', '.join(rows.columns)}"
    return Inputs(batches, rows.kind, (note,))


def _loader(data: str, wanted: Wanted) -> Inputs:
    made = build_loader(data)
    if isinstance(made, Tensor) and wanted.size is not None:
        return Inputs(FirstSamples(Split(made, wanted.size), n_samples=wanted.most), "loader")
    _check_no_size(data, wanted)
    return Inputs(FirstSamples(as_batches(made), n_samples=wanted.most), "loader")


def _check_no_size(data: Any, wanted: Wanted) -> None:
    if wanted.size is not None:
        raise ValueError(f"--batch-size does not change the batches that {data} holds; leave it out")


def _parts(items: Any, make: Any, wanted: Wanted, size: int | None = None) -> InParts:
    return InParts(items, make, most=wanted.most, size=wanted.size or size)


def _of(n: int, what: str, wanted: Wanted) -> str:
    return (
        f"{n:,} {what if n > 1 else what[:-1]}"
        if n <= wanted.most
        else f"{wanted.most:,} of {n:,} {what}, evenly spaced"
    )


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {name: _cast(part, dtype) for name, part in value.items()}
    return type(value)(_cast(part, dtype) for part in value) if type(value) in (list, tuple) else value
