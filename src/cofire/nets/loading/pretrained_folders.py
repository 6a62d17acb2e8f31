"""Find the weights in a folder of ``save_pretrained``, whole or in shards, and what its configuration says of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
"""Names that PEFT gives to the weights of an adapter, without those of the model that it adapts."""
WHOLE = (
    "model.safetensors",
    "pytorch_model.bin",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
    *ADAPTERS,
)
INDEX = ".index.json"
MOST_JSON = 1 << 26


def has_weights(folder: Path) -> bool:
    """Return whether a folder holds weights under a name that ``save_pretrained`` gives them."""
    return any((folder / name).exists() or (folder / f"{name}{INDEX}").exists() for name in WHOLE)


def file_in(folder: Path) -> Path:
    """Return the file of weights in a folder, or the index of its shards.

    Raises:
        ValueError: if there is none.
    """
    for name in WHOLE:
        for path in (folder / name, folder / f"{name}{INDEX}"):
            if path.exists():
                return path
    raise ValueError(f"{folder} is a folder without {', '.join(WHOLE[:2])} or their index; name a file of weights")


def shards_of(index: Path) -> dict[Path, list[str]]:
    """Return the shards that an index names, each with the names of its weights.

    Raises:
        ValueError: if it is no index, or names files elsewhere.
    """
    content = _json(index)
    listed = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise ValueError(f"{index} is damaged, or not an index of shards: it has no 'weight_map'")
    shards: dict[Path, list[str]] = {}
    for name, file in listed.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise ValueError(f"{index} names {file!r} as a shard, which is no file beside it")
        shards.setdefault(index.with_name(file), []).append(name)
    return shards


def configuration_beside(path: Path) -> Mapping[str, Any]:
    """Return what a ``config.json`` beside a file of weights says; nothing if there is none that can be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "config.json").write_text('{"vocab_size": 100}')
        ...     configuration_beside(Path(folder, "model.safetensors"))
        {'vocab_size': 100}
    """
    beside = path.with_name("config.json")
    if not beside.is_file():
        return {}
    try:
        found = _json(beside)
    except (ValueError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> Any:
    if path.stat().st_size > MOST_JSON:
        raise ValueError(f"{path} is too large for a configuration or an index")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, or not JSON") from error
