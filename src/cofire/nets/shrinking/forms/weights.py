"""The weights of a smaller network, and the plan that makes a fresh model fit them."""

import json
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from ...loading.checkpoint_files import load_weights, read_checkpoint
from ..plans import apply_plan
from ..shrunk import Shrunk

M = TypeVar("M", bound=nn.Module)
WEIGHTS, PLAN = "model.safetensors", "plan.json"


def write_weights(shrunk: Shrunk, folder: Path) -> list[str]:
    """Write ``model.safetensors`` and ``plan.json``, and return notes on what they lack."""
    from safetensors.torch import save

    state = shrunk.model.state_dict(keep_vars=True)
    (folder / WEIGHTS).write_bytes(save(once(state), {"format": "pt"}))
    plan = json.dumps(finite(shrunk.plan), allow_nan=False, indent=1)
    (folder / PLAN).write_text(plan, encoding="utf-8")
    others = [name for name, one in state.items() if not isinstance(one, Tensor)]
    return [f"{WEIGHTS} lacks what is no tensor in the state dict, such as {others[0]}"] if others else []


def load_shrunk(model: M, folder: str | Path) -> M:
    """Load a smaller network that `save` wrote into a fresh model of the old size.

    Args:
        model: the model as its own code makes it; changed in place.
        folder: where ``model.safetensors`` and ``plan.json`` are.

    Returns:
        The model, smaller.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if one is damaged, or was made for another model.
    """
    path = Path(folder, PLAN)
    try:
        plan = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is damaged, or not JSON") from error
    apply_plan(model, plan)
    load_weights(model, read_checkpoint(Path(folder, WEIGHTS)))
    return model


def once(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state dict, tied ones under their first name."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, one in state.items():
        if isinstance(one, Tensor) and id(one) not in seen:
            seen.add(id(one))
            tensors[name] = one.detach().cpu().contiguous().clone()
    return tensors


def finite(value: Any) -> Any:
    """Return plain values with None for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {str(name): finite(one) for name, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
