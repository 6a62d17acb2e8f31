"""Put weights together that a reparametrization stores in parts, and say so."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

WEIGHT_NORM = "weight norm's direction times its length"
PRUNED = "with its pruning mask applied"
SPECTRAL = "as stored, before its spectral normalization"
REPARAMETRIZED = "as stored, before its parametrization"


@dataclass
class Effective:
    """A state dict in which each weight is whole.

    Attributes:
        weights: tensors under the names that they have without reparametrization.
        notes: how a weight was put together, by its name.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def effective_weights(state: Mapping[str, Tensor]) -> Effective:
    """Return a state dict without the parts that weight norm, spectral norm, pruning and parametrizations store.

    Example:
        >>> state = {"fc.weight_g": torch.full((2, 1), 3.0), "fc.weight_v": torch.eye(2)}
        >>> found = effective_weights(state)
        >>> found.weights["fc.weight"].tolist(), found.notes
        ([[3.0, 0.0], [0.0, 3.0]], {'fc.weight': "weight norm's direction times its length"})
    """
    found = Effective()
    used: set[str] = set()
    for name, tensor in state.items():
        whole = _whole(name, tensor, state)
        if whole is None or whole[0] in state:
            found.weights.setdefault(name, tensor)
        elif whole[0] not in found.weights:
            base, weight, note, parts = whole
            used |= parts
            found.weights[base], found.notes[base] = weight, note
    for name in used:
        found.weights.pop(name, None)
    return found


def _whole(name: str, tensor: Tensor, state: Mapping[str, Tensor]) -> tuple[str, Tensor, str, set[str]] | None:
    """Return the weight that a tensor is a part of: its name, its value, a note and the names of its parts."""
    head, _, last = name.rpartition(".")
    owner, _, parameter = head.removesuffix(f".{last}").rpartition("parametrizations.")
    if parameter and last in ("original", "original0", "original1"):
        base = f"{owner}{parameter}"
        if last == "original":
            spectral = f"{head}.0._u" in state
            return base, tensor, SPECTRAL if spectral else REPARAMETRIZED, {name}
        return _normed(base, f"{head}.original0", f"{head}.original1", state)
    if name.endswith(("_g", "_v")):
        return _normed(name[:-2], f"{name[:-2]}_g", f"{name[:-2]}_v", state)
    if name.endswith("_orig"):
        base = name.removesuffix("_orig")
        mask = state.get(f"{base}_mask")
        if mask is not None and mask.shape == tensor.shape:
            return base, tensor * mask.to(tensor.dtype), PRUNED, {name, f"{base}_mask"}
        return base, tensor, SPECTRAL if f"{base}_u" in state else REPARAMETRIZED, {name}
    return None


def _normed(
    base: str, length: str, direction: str, state: Mapping[str, Tensor]
) -> tuple[str, Tensor, str, set[str]] | None:
    g, v = state.get(length), state.get(direction)
    if g is None or v is None or not (g.is_floating_point() and v.is_floating_point()):
        return None
    if g.ndim not in (0, v.ndim) or any(one not in (1, n) for one, n in zip(g.shape, v.shape, strict=False)):
        return None
    axes = [axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1]
    norm = torch.linalg.vector_norm(v.float(), dim=axes, keepdim=True) if axes else v.abs().float()
    # A vector of zeros has no direction, and stays zero.
    weight = (v.float() * (g.float() / norm.clamp(min=torch.finfo(torch.float32).tiny))).to(v.dtype)
    return base, weight, WEIGHT_NORM, {length, direction}
