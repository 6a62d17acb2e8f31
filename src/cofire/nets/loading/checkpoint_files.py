"""Read state dicts from files by others: nothing in them is executed, and wrappers' prefixes are removed."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..layer_names import unwrap
from ..layers.wrappers import without_wrappers
from .inert_pickle import DamagedPickle
from .pretrained_folders import ADAPTERS, INDEX, configuration_beside, file_in, shards_of
from .state_dict_keys import find_state_dict
from .torch_files import RefusedFile, TorchFile, open_torch_file
from .torch_values import StoredTensor, Unreadable, is_tensor, tensor_of

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")
SUFFIXES = (".safetensors", *PICKLED)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The weights in a file.

    Attributes:
        path: the file.
        weights: tensors by name, without the prefixes of wrappers; on the CPU, mapped from the file where possible.
        notes: sentences on how they were found.
        left_out: tensors that can't be read, by name, with the reason.
        config: what a ``config.json`` beside the file says.
    """

    path: Path
    weights: Mapping[str, Tensor]
    notes: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Found:
    """What a file holds, under the names in the file."""

    weights: dict[str, Tensor] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_file_of_weights(name: str) -> bool:
    """Return whether a file's name ends as those of weights or of an index of shards do."""
    return name.endswith((*SUFFIXES, INDEX))


def read_checkpoint(path: str | Path, *, key: str | None = None) -> Checkpoint:
    """Read the weights from a ``.safetensors`` file, what ``torch.save`` wrote, or a folder of ``save_pretrained``.

    Only tensors and plain values are read. Objects of other classes become blanks, which hold nothing: no class or
    function that the file names is imported or called. A tensor of an odd kind is left out with the reason.

    Args:
        path: a file; the index of a file in shards; or a folder that holds either under transformers' names.
        key: where the weights are in the file, keys joined by dots; by default where training scripts keep them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is of another kind, damaged, or holds no state dict.

    Example:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     torch.save({"epoch": 3, "model": {"module.fc.weight": torch.ones(2, 3)}}, f"{folder}/last.pt")
        ...     found = read_checkpoint(f"{folder}/last.pt")
        >>> list(found.weights)
        ['fc.weight']
        >>> found.notes
        ("the weights were found under 'model'", "'module' was removed from the names")
    """
    path = Path(path)
    file = file_in(path) if path.is_dir() else path
    found = _shards(file, key) if file.name.endswith(INDEX) else _read(file, key)
    weights, wrappers = without_wrappers(found.weights)
    notes = [*found.notes, *([f"{', '.join(map(repr, wrappers))} was removed from the names"] if wrappers else [])]
    notes = [f"the weights are those in {file.name}", *notes] if path.is_dir() else notes
    if file.name in ADAPTERS:
        notes.append("they are an adapter's, without the weights of the model that it adapts")
    return Checkpoint(path, weights, tuple(notes), found.left_out, configuration_beside(file))


def _shards(index: Path, key: str | None) -> _Found:
    found = _Found()
    _check_regular(index)
    shards = shards_of(index)
    for path, names in shards.items():
        shard = _read(path, key)
        missing = [name for name in names if name not in shard.weights and name not in shard.left_out]
        if missing:
            raise ValueError(f"{path} lacks {_some(missing)}, which {index.name} says it holds")
        found.weights |= {name: shard.weights[name] for name in names if name in shard.weights}
        found.left_out |= {name: shard.left_out[name] for name in names if name in shard.left_out}
        found.notes += [note for note in shard.notes if note not in found.notes]
    found.notes.insert(0, f"they are in {len(shards)} shards")
    return found


def _read(path: Path, key: str | None) -> _Found:
    """Read one file."""
    if not path.name.endswith(SUFFIXES):
        raise ValueError(f"{path} is not a known file of weights; their names end in {', '.join(SUFFIXES)}")
    _check_regular(path)
    if path.suffix == ".safetensors":
        if key is not None:
            raise ValueError(f"{path} has no {key!r}: a safetensors file holds one state dict, without keys above it")
        return _safetensors(path)
    try:
        return _saved_by_torch(open_torch_file(path), key)
    except DamagedPickle as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    except (RefusedFile, ValueError) as error:
        raise ValueError(f"{path} {error}") from error


def _check_regular(path: Path) -> None:
    """Refuse pipes, sockets and devices before they are opened, as reading one may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is {'a folder' if path.is_dir() else 'a pipe, socket or device'}, not a file")
    if not status.st_size:
        raise ValueError(f"{path} is empty")


def _saved_by_torch(file: TorchFile, key: str | None) -> _Found:
    content, place = find_state_dict(file.content, key)
    found = _Found(notes=list(file.notes))
    if place:
        found.notes.append(f"the weights were found under {place!r}")
    for name, value in content.items():
        if not (isinstance(name, str) and is_tensor(value)):
            continue
        try:
            found.weights[name] = tensor_of(value, file.read) if isinstance(value, StoredTensor) else value
        except Unreadable as reason:
            found.left_out[name] = str(reason)
    others = [str(name) for name, value in content.items() if not is_tensor(value)]
    if others:
        found.notes.append(f"left out, as they are not tensors: {_some(others, 4)}")
    unnamed = {str(name): None for name, value in content.items() if is_tensor(value) and not isinstance(name, str)}
    if unnamed:
        found.notes.append(f"left out, as their keys are no names: {_some(unnamed, 4)}")
    if file.unknown:
        found.notes.append(f"the file names {_some(file.unknown, 4)}, which was neither imported nor called")
    return found


def _safetensors(path: Path) -> _Found:
    from safetensors import SafetensorError, safe_open

    found = _Found()
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                try:
                    found.weights[name] = file.get_tensor(name)
                # A type of numbers that torch lacks is met in several ways.
                except (SafetensorError, KeyError, AttributeError, TypeError, RuntimeError, ValueError) as error:
                    found.left_out[name] = f"of a type that can't be read ({str(error).strip().splitlines()[0]})"
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or not a safetensors file: {str(error).rstrip('.')}") from error
    return found


def load_weights(model: nn.Module, checkpoint: Checkpoint, *, allow_unexpected: bool = False) -> Checkpoint:
    """Load a checkpoint's weights into a model of the same structure, whatever either is wrapped in.

    A model on the meta device takes the checkpoint's tensors for its own.

    Args:
        model: changed in place.
        checkpoint: the weights.
        allow_unexpected: ignore weights that the model lacks, such as ``position_ids`` of older versions.

    Returns:
        The checkpoint, with a note on what was ignored.

    Raises:
        ValueError: if a weight is missing, unexpected or of another shape, with its name.
    """
    model = unwrap(model)
    state = model.state_dict(keep_vars=True)
    own, full = without_wrappers(state)[0], without_wrappers({name: name for name in state})[0]
    # A file may hold weights that several layers share only once.
    present = {id(tensor): checkpoint.weights[name] for name, tensor in own.items() if name in checkpoint.weights}
    tied = {name: present[id(tensor)] for name, tensor in own.items() if id(tensor) in present}
    given = {**tied, **checkpoint.weights}
    ignored = [name for name in given if name not in own] if allow_unexpected else []
    given = {name: tensor for name, tensor in given.items() if name not in ignored}
    problems = _mismatches(own, given, checkpoint.left_out)
    if problems:
        raise ValueError(f"{checkpoint.path} does not fit the model; {_some(problems, separator='; ')}")
    on_meta = any(tensor.is_meta for tensor in own.values())
    model.load_state_dict({full[name]: tensor for name, tensor in given.items()}, strict=True, assign=on_meta)
    note = f"ignored, as the model has no such weights: {_some(ignored)}"
    return replace(checkpoint, notes=(*checkpoint.notes, *([note] if ignored else [])))


def _mismatches(own: Mapping[str, Tensor], given: Mapping[str, Tensor], left_out: Mapping[str, str]) -> list[str]:
    missing, unexpected = sorted(own.keys() - given), sorted(given.keys() - own)
    named = [f"{name} ({left_out[name]})" if name in left_out else name for name in missing]
    problems = [f"missing: {_some(named)}"] if missing else []
    problems += (
        [f"unexpected: {_some(unexpected)} (to ignore them: allow_unexpected=True, or --allow-unexpected)"]
        if unexpected
        else []
    )
    return problems or [
        f"{name} is {tuple(tensor.shape)}, the model's is {tuple(own[name].shape)}"
        for name, tensor in given.items()
        if not is_lazy(own[name]) and tensor.shape != own[name].shape
    ]


def _some(names: Iterable[str], most: int = 6, separator: str = ", ") -> str:
    names = list(names)
    return separator.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
