"""Save a smaller network, and load it into the model that its own code still makes at the old size."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from ..layer_names import clean, named_layers, unwrap
from ..loading.checkpoint_files import Checkpoint, load_weights, read_checkpoint
from .counts import is_no_larger, like
from .cut_groups import Change, all_shapes, named_tensors, recount, replace

COUNTS = "cofire.counts"
M = TypeVar("M", bound=nn.Module)


def merged_bytes(model: nn.Module, counts: Mapping[str, object]) -> bytes:
    """Return a smaller network's state dict as a safetensors file, with the modules' new sizes in the metadata.

    Weights that several names share are stored under the first of them.

    Args:
        model: the smaller network.
        counts: numbers of modules that changed with their weights, such as ``{"fc1.out_features": 20}``: ``counts`` in
            the plan of :func:`~cofire.nets.shrinking.shrink`.
    """
    from safetensors.torch import save

    weights: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            weights[name] = tensor.detach().contiguous().clone()
        seen.add(id(tensor))
    return save(weights, {"format": "pt", COUNTS: json.dumps(dict(counts))})


def load_merged(model: M, path: str | Path, *, key: str | None = None) -> M:
    """Load a smaller network into a fresh model of the old size, whose tensors are cut to fit.

    The shapes in the file decide, so it may also be a state dict of the smaller network that was trained further and
    saved with ``torch.save``. Sizes that no tensor shows are in the metadata of a file that ``cofire merge`` wrote.

    Args:
        model: the model as its own code makes it; changed in place.
        path: a file that ``cofire merge`` wrote, or another checkpoint of such a network.
        key: where the weights are in the file, see :func:`~cofire.nets.loading.checkpoint_files.read_checkpoint`.

    Returns:
        The model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or does not fit the model even with smaller layers.

    Example:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> from cofire.nets.shrinking import shrink
        >>> make = lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> smaller = shrink(make(), torch.randn(200, 4), keep={"0": 5})
        >>> with TemporaryDirectory() as folder:
        ...     content = merged_bytes(smaller.model, smaller.plan["counts"])
        ...     _ = Path(f"{folder}/smaller.safetensors").write_bytes(content)
        ...     load_merged(make(), f"{folder}/smaller.safetensors")[0]
        Linear(in_features=4, out_features=5, bias=True)
    """
    load_resized(model, read_checkpoint(path, key=key))
    return model


def load_resized(model: nn.Module, checkpoint: Checkpoint, *, allow_unexpected: bool = False) -> Checkpoint:
    """Shrink a model to a checkpoint's shapes and load it; arguments, result and errors as for `load_weights`."""
    resize(model, checkpoint.weights, _recorded(checkpoint.path))
    return load_weights(model, checkpoint, allow_unexpected=allow_unexpected)


def resize(model: nn.Module, weights: Mapping[str, Tensor], counts: Mapping[str, object] | None) -> None:
    """Shrink parameters, buffers and the numbers of modules to the shapes of weights; leave what does not fit.

    Args:
        model: changed in place.
        weights: a state dict.
        counts: recorded numbers of modules, such as ``{"fc1.out_features": 20}``; unknown ones are passed over. None if
            nothing was recorded: then the shapes tell.
    """
    net, smaller = unwrap(model), {}
    before = all_shapes(net)
    for name, tensor in named_tensors(net).items():
        shape = tensor.shape if (given := weights.get(clean(name))) is None else given.shape
        if shape != tensor.shape and len(shape) == tensor.dim() and all(map(int.__le__, shape, tensor.shape)):
            smaller[name] = tensor.detach()[tuple(slice(size) for size in shape)]
    replace(net, smaller, Change())
    if counts is None:
        return recount(net, before, {}, Change())
    modules = named_layers(net)
    for key, value in counts.items():
        path, _, name = key.rpartition(".")
        old = vars(modules[path]).get(name) if path in modules else None
        if is_no_larger(value, old):
            setattr(modules[path], name, like(old, value))
    return None


def _recorded(path: Path) -> dict[str, object] | None:
    """Return the numbers in a file's metadata; None if another program wrote it."""
    if path.suffix != ".safetensors" or path.is_dir():
        return None
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(COUNTS)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: its metadata on sizes is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged: its metadata on sizes is not a table")
    return found
