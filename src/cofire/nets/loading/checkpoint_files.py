"""Read state dicts from files by others: nothing in them is executed, and wrappers' prefixes are removed."""

import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...stats._base.wording import with_article
from ..layer_names import unwrap
from ..layers.wrappers import without_wrappers

PICKLED = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *PICKLED)
PICKLE = b"\x80"
NESTED_UNDER = ("state_dict", "model_state_dict", "model", "module", "net", "network")
"""Keys under which training scripts keep the weights beside an optimizer's state, tried in this order."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The weights in a file.

    Attributes:
        path: the file.
        weights: tensors by name, without the prefixes of wrappers; on the CPU, mapped from the file where possible.
        notes: sentences on how they were found.
    """

    path: Path
    weights: Mapping[str, Tensor]
    notes: tuple[str, ...]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read the weights from a ``.safetensors`` file, or from a state dict that ``torch.save`` wrote.

    Only tensors and plain values are read. A file that asks for anything else is refused, and nothing in it runs.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is of another kind, damaged, asks to run code, or holds no state dict.

    Example:
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
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name one file of weights in it")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is not a known file of weights; their names end in {', '.join(SUFFIXES)}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty")
    content = _safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    found, place = _state_dict(content, path)
    weights, wrappers = without_wrappers(
        {str(name): value.detach() for name, value in found.items() if isinstance(value, Tensor)}
    )
    others = [str(name) for name, value in found.items() if not isinstance(value, Tensor)]
    notes = [f"the weights were found under {place!r}"] if place else []
    notes += [f"{', '.join(map(repr, wrappers))} was removed from the names"] if wrappers else []
    notes += [f"left out, as they are not tensors: {', '.join(others[:4])}"] if others else []
    return Checkpoint(path, weights, tuple(notes))


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Load a checkpoint's weights into a model of the same structure, whatever either is wrapped in.

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
    problems = _mismatches(own, given)
    if problems:
        raise ValueError(f"{checkpoint.path} does not fit the model; {_some(problems, separator='; ')}")
    model.load_state_dict({full[name]: tensor for name, tensor in given.items()}, strict=True)


def _mismatches(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    missing, unexpected = sorted(own.keys() - given), sorted(given.keys() - own)
    problems = [f"missing: {_some(missing)}"] if missing else []
    problems += [f"unexpected: {_some(unexpected)}"] if unexpected else []
    return problems or [
        f"{name} is {tuple(tensor.shape)}, the model's is {tuple(own[name].shape)}"
        for name, tensor in given.items()
        if not is_lazy(own[name]) and tensor.shape != own[name].shape
    ]


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or not a safetensors file: {str(error).rstrip('.')}") from error


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions of pickle, which say nothing about the weights
            # Only zip archives can be mapped; files from before torch 1.6 are not.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    # A broken file can raise nearly anything, with messages about torch's internals.
    except Exception as error:
        message, reason = str(error), "is damaged, or was not written by torch.save"
        named = re.search(r"GLOBAL (\S+)", message)
        with path.open("rb") as file:
            pickled = file.read(1) == PICKLE
        if named or (pickled and "unsupported" in message.lower()):
            what = f"asks for {named[1]}" if named else "is a pickle of more than weights"
            reason = f"{what}, which was refused and not executed; save model.state_dict() with torch.save"
        elif "torchscript" in message.lower():
            reason = "is a TorchScript archive; save the state_dict() of its module instead"
        raise ValueError(f"{path} {reason}") from error


def _state_dict(content: Any, path: Path) -> tuple[Mapping[Any, Any], str]:
    """Return the mapping of names to tensors, and the keys that lead to it."""
    place: list[str] = []
    while isinstance(content, Mapping) and (key := _inner(content)) is not None:
        place.append(key)
        content = content[key]
    if _holds_tensors(content):
        return content, ".".join(place)
    if not isinstance(content, Mapping):
        what = f"it is {with_article(type(content).__name__)}"
    elif several := [repr(key) for key, value in content.items() if _leads_to_tensors(value)]:
        what = f"there are several in it, {_some(several)}, and one is needed"
    else:
        what = f"there are no tensors under its keys {_some(map(repr, content)) or '(it has none)'}"
    raise ValueError(f"{path} holds no state dict: {what}; save model.state_dict()")


def _inner(content: Mapping[Any, Any]) -> str | None:
    """Return the key under which the weights are nested, if they are."""
    deeper = [key for key, value in content.items() if isinstance(key, str) and _leads_to_tensors(value)]
    known = [key for key in NESTED_UNDER if key in deeper]
    if known:
        return known[0]
    return deeper[0] if len(deeper) == 1 and not _holds_tensors(content) else None


def _leads_to_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and (_holds_tensors(value) or any(map(_leads_to_tensors, value.values())))


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(key, str) and isinstance(one, Tensor) for key, one in value.items()
    )


def _some(names: Iterable[str], most: int = 6, separator: str = ", ") -> str:
    names = list(names)
    return separator.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
