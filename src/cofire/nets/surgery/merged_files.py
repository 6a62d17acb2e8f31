"""Save a smaller network, and load it into the model that its own code still makes at the old size."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ..layers.layer_names import named_layers, unwrap
from ..loading.checkpoint_files import Checkpoint, load_weights, read_checkpoint
from .cut_layers import (
    COUNTS_OF_UNITS,
    CUTTABLE,
    PER_UNIT,
    TRANSPOSED,
    Cuttable,
    keep_features,
    keep_inputs,
    keep_units,
    n_features,
    n_inputs,
    n_units,
)
from .cuts import Surgery

WIDTHS = "cofire.widths"
M = TypeVar("M", bound=nn.Module)


def merged_bytes(surgery: Surgery) -> bytes:
    """Return a smaller network's state dict as a safetensors file, with its layers' widths in the metadata.

    Weights that several names share are stored under the first of them.
    """
    from safetensors.torch import save

    weights: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in surgery.model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            weights[name] = tensor.detach().contiguous().clone()
        seen.add(id(tensor))
    return save(weights, {"format": "pt", WIDTHS: json.dumps(_widths(surgery.model))})


def load_merged(model: M, path: str | Path, *, key: str | None = None) -> M:
    """Load a smaller network into a fresh model of the old size, whose layers are resized to fit.

    The shapes in the file decide, so it may also be a state dict of the smaller network that was trained further and
    saved with ``torch.save``.

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
        >>> from tempfile import TemporaryDirectory
        >>> from cofire.nets.surgery import prune
        >>> make = lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> smaller = prune(make(), torch.randn(200, 4), keep=0.5)
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/smaller.safetensors").write_bytes(merged_bytes(smaller))
        ...     load_merged(make(), f"{folder}/smaller.safetensors")[0]
        Linear(in_features=4, out_features=4, bias=True)
    """
    load_resized(model, read_checkpoint(path, key=key))
    return model


def load_resized(model: nn.Module, checkpoint: Checkpoint, *, allow_unexpected: bool = False) -> Checkpoint:
    """Shrink a model's layers to a checkpoint's shapes and load it; arguments and errors as for `load_weights`."""
    resize(model, checkpoint.weights, _recorded_widths(checkpoint.path))
    return load_weights(model, checkpoint, allow_unexpected=allow_unexpected)


def resize(model: nn.Module, weights: Mapping[str, Tensor], widths: Mapping[str, int]) -> None:
    """Shrink linear and convolution layers and normalizations to the shapes of weights; leave what does not fit.

    Args:
        model: changed in place.
        weights: a state dict.
        widths: features of the normalizations, which matter for those that have no weights.
    """
    for name, module in named_layers(unwrap(model)).items():
        if type(module) in CUTTABLE:
            _resize_layer(cast(Cuttable, module), weights.get(f"{name}.weight"))
        elif any(hasattr(module, count) for count in COUNTS_OF_UNITS):
            own = [len(weights[key]) for part in PER_UNIT if (key := f"{name}.{part}") in weights]
            number = own[0] if own else widths.get(name, n_features(module))
            if number < n_features(module):
                keep_features(module, torch.arange(number))


def _resize_layer(layer: Cuttable, weight: Tensor | None) -> None:
    if weight is None or weight.ndim != layer.weight.ndim or getattr(layer, "groups", 1) != 1:
        return
    out, into = weight.shape[:2][::-1] if isinstance(layer, TRANSPOSED) else weight.shape[:2]
    if out < n_units(layer):
        keep_units(layer, torch.arange(out))
    if into < n_inputs(layer):
        keep_inputs(layer, torch.arange(into))


def _widths(model: nn.Module) -> dict[str, int]:
    widths: dict[str, int] = {}
    for name, module in model.named_modules():
        if type(module) in CUTTABLE:
            widths[name] = n_units(cast(Cuttable, module))
        elif any(hasattr(module, count) for count in COUNTS_OF_UNITS):
            widths[name] = n_features(module)
    return widths


def _recorded_widths(path: Path) -> dict[str, int]:
    """Return the widths in a file's metadata; empty if another program wrote it."""
    if path.suffix != ".safetensors" or path.is_dir():
        return {}
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(WIDTHS, "{}")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: its metadata on widths is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged: its metadata on widths is not a table")
    return {str(name): width for name, width in found.items() if isinstance(width, int) and width > 0}
