"""Moments as plain tensors of fixed shapes, for frameworks that keep, move and save tensors."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .moments import Moments
from .packed_symmetric import PackedSymmetric
from .row_sample import RowSketch, rows_to_keep


def empty_tensors(n_units: int) -> dict[str, Tensor]:
    """The state of `Moments` that have seen nothing, by name."""
    comoment = PackedSymmetric(n_units, torch.device("cpu"))
    kept = rows_to_keep(n_units)
    per_unit = {name: torch.zeros(n_units, dtype=torch.float64) for name in ("shift", "mean", "scale")}
    return {
        "count": torch.tensor(0),
        **per_unit,
        "comoment": comoment.tiles,
        "sketch": torch.zeros(kept, n_units, dtype=torch.float64),
        "priority": torch.zeros(kept, dtype=torch.int64),
    }


def to_tensors(moments: Moments) -> dict[str, Tensor]:
    """The state of moments that have seen something; the tensors are the moments' own."""
    moments._settle()
    device, sketch = moments._shift.device, moments._sketch
    missing = sketch.most - len(sketch.priority)
    rows = sketch.rows().to(device, torch.float64)
    priority = torch.from_numpy(sketch.priority.view(np.int64)).to(device)
    return {
        "count": torch.tensor(moments.count, device=device),
        "shift": moments._shift,
        "mean": moments._mean,
        "scale": moments._scale,
        "comoment": moments._comoment.tiles,
        "sketch": torch.nn.functional.pad(rows, (0, 0, 0, missing)),
        "priority": torch.nn.functional.pad(priority, (0, missing)),
    }


def from_tensors(state: Mapping[str, Tensor], *, compute_dtype: torch.dtype = torch.float64) -> Moments:
    """Moments that go on from a state and change its tensors in place, but for those that inference mode made."""
    moments, count = Moments(compute_dtype=compute_dtype), int(state["count"])
    if count:
        with torch.inference_mode(False):
            moments._begin(state["shift"])
            moments._count = count
            moments._mean, moments._scale = _changeable(state["mean"]), _changeable(state["scale"])
            moments._comoment._tiles = _changeable(state["comoment"])
            moments._sketch = _sketch(state, count)
    return moments


def _changeable(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.is_inference() else tensor


def _sketch(state: Mapping[str, Tensor], count: int) -> RowSketch:
    """A sketch holds as many rows as were seen, until it is full."""
    sketch = RowSketch(state["sketch"].shape[1])
    held = min(count, sketch.most)
    sketch.keep(state["priority"][:held].cpu().numpy().view(np.uint64), state["sketch"][:held])
    return sketch
