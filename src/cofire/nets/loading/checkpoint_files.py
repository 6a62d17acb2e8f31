"""State dicts from files that others wrote: nothing in them is executed, and wrappers' prefixes are taken off."""

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...stats._base.wording import with_article
from ..layers.layer_names import unwrap
from ..layers.wrappers import without_wrappers

PICKLED = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *PICKLED)
PICKLE = b"\x80"
NESTED_UNDER = ("state_dict", "model_state_dict", "model", "module", "net", "network")
"""Where training scripts keep the weights beside an optimizer's state, the first to be looked at first."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The weights in a file.

    Attributes:
        path: of the file.
        weights: tensors by name, without the prefixes of wrappers; on the CPU, mapped from the file where it allows.
        notes: what was done to get at them, in words.
    """

    path: Path
    weights: Mapping[str, Tensor]
    notes: tuple[str, ...]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The weights in a ``.safetensors`` file, or in a state dict that ``torch.save`` wrote.

    Only tensors and plain values are read: a file that asks for anything else is refused, and nothing in it runs.

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
        ("the weights were found under 'model'", "'module' was taken off the names")
    """
    path = Path(path)
    _refuse_unreadable(path)
    content = _safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    found, place = _state_dict(content, path)
    tensors, apart = _tensors(found)
    weights, wrappers = without_wrappers(tensors)
    notes = [f"the weights were found under {place!r}"] if place else []
    notes += [f"{', '.join(map(repr, wrappers))} was taken off the names"] if wrappers else []
    notes += [f"left out, as they are no tensors: {', '.join(apart[:4])}"] if apart else []
    return Checkpoint(path, weights, tuple(notes))


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into a model of the same structure, whatever either is wrapped in.

    Raises:
        ValueError: if a weight is missing, unexpected or of another shape, with its name.
    """
    model = unwrap(model)
    own, full = _own_weights(model)
    given = {**_tied(own, checkpoint.weights), **checkpoint.weights}
    _refuse_mismatch(set(own), set(given), checkpoint.path)
    _refuse_shapes(own, given, checkpoint.path)
    model.load_state_dict({full[name]: tensor for name, tensor in given.items()}, strict=True)


def _own_weights(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The model's own parameters and buffers by name without wrappers, and the names that it uses itself."""
    state = model.state_dict(keep_vars=True)
    return without_wrappers(state)[0], without_wrappers({name: name for name in state})[0]


def _tied(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a file that holds shared weights only once leaves out."""
    present = {id(tensor): given[name] for name, tensor in own.items() if name in given}
    return {name: present[id(tensor)] for name, tensor in own.items() if name not in given and id(tensor) in present}


def _refuse_shapes(own: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    wrong = [
        f"{name} is {tuple(tensor.shape)}, the model's is {tuple(own[name].shape)}"
        for name, tensor in given.items()
        if not is_lazy(own[name]) and tensor.shape != own[name].shape
    ]
    if wrong:
        raise ValueError(f"{path} does not fit the model: {_some(wrong)}")


def _refuse_unreadable(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name one file of weights in it")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is not known to hold weights; their files end in {', '.join(SUFFIXES)}")
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError(f"{path} is empty")


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no safetensors file: {str(error).rstrip('.')}") from error


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle's versions, which say nothing about the weights
            # files from before torch 1.6 are no archives, and cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    # a broken file can raise nearly anything, with messages that speak of torch's own parts
    except Exception as error:
        raise ValueError(f"{path} {_refusal(str(error), path)}") from error


def _refusal(message: str, path: Path) -> str:
    named = re.search(r"GLOBAL (\S+)", message)
    with path.open("rb") as file:
        pickled = file.read(1) == PICKLE
    if named or (pickled and "unsupported" in message.lower()):
        what = f"asks for {named[1]}" if named else "is a pickle of more than weights"
        return f"{what}, which was refused and not executed; save model.state_dict() with torch.save"
    if "torchscript" in message.lower():
        return "is a TorchScript archive; save the state_dict() of its module instead"
    return "is damaged, or was not written by torch.save"


def _state_dict(content: Any, path: Path) -> tuple[Mapping[Any, Any], str]:
    """The mapping of names to tensors, and the keys that lead to it."""
    place: list[str] = []
    while isinstance(content, Mapping) and (key := _inner(content)) is not None:
        place.append(key)
        content = content[key]
    if not _holds_tensors(content):
        raise ValueError(f"{path} holds no state dict: {_what(content)}; save model.state_dict()")
    return content, ".".join(place)


def _inner(content: Mapping[Any, Any]) -> str | None:
    """The key to go on with, if the weights lie deeper."""
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


def _what(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"it is {with_article(type(content).__name__)}"
    several = [key for key, value in content.items() if _leads_to_tensors(value)]
    if several:
        return f"there are several in it, {_some(list(map(repr, several)))}, and one is needed"
    return f"there are no tensors under its keys {_some(list(map(repr, content))) or '(it has none)'}"


def _tensors(found: Mapping[Any, Any]) -> tuple[dict[str, Tensor], list[str]]:
    tensors = {str(name): value.detach() for name, value in found.items() if isinstance(value, Tensor)}
    return tensors, [str(name) for name, value in found.items() if not isinstance(value, Tensor)]


def _refuse_mismatch(own: set[str], given: set[str], path: Path) -> None:
    missing, unexpected = sorted(own - given), sorted(given - own)
    if not missing and not unexpected:
        return
    parts = [f"missing: {_some(missing)}"] if missing else []
    parts += [f"unexpected: {_some(unexpected)}"] if unexpected else []
    raise ValueError(f"{path} does not fit the model; {'; '.join(parts)}")


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
