"""Moments as tensors of fixed shapes, for frameworks that keep, move and save tensors."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .moment_state import MomentState, empty_state
from .packed_symmetric import PackedSymmetric
from .row_sample import RowSketch


def empty_tensors(n_units: int) -> dict[str, Tensor]:
    """Return the tensors of a state without samples, by name."""
    return to_tensors(empty_state(torch.zeros(n_units, dtype=torch.float64, device="cpu")))


def to_tensors(state: MomentState) -> dict[str, Tensor]:
    """Return the tensors of a state by name; vectors and co-moment are the state's own, not copies."""
    device, sketch = state.shift.device, state.sketch
    missing = sketch.most - len(sketch.priority)
    rows = sketch.rows().to(device, torch.float64)
    # torch can't do much with uint64, so the same bits travel as int64
    priority = torch.from_numpy(sketch.priority.view(np.int64)).to(device)
    return {
        "count": torch.tensor(state.count, device=device),
        "shift": state.shift,
        "mean": state.mean,
        "scale": state.scale,
        "comoment": state.comoment.tiles,
        "sketch": torch.nn.functional.pad(rows, (0, 0, 0, missing)),
        "priority": torch.nn.functional.pad(priority, (0, missing)),
    }


def from_tensors(tensors: Mapping[str, Tensor]) -> MomentState:
    """Return the state that has these tensors.

    Updating it changes them in place, except for tensors made in inference mode, which can only be changed there and
    are therefore copied.
    """
    with torch.inference_mode(False):
        own = {name: tensor.clone() if tensor.is_inference() else tensor for name, tensor in tensors.items()}
        count, (most, n_units) = int(own["count"]), own["sketch"].shape
        if not count:
            return empty_state(torch.zeros_like(own["shift"]))
        sketch, held = RowSketch(n_units), min(count, most)  # a sketch holds every row until it is full
        sketch.keep(own["priority"][:held].cpu().numpy().view(np.uint64), own["sketch"][:held])
        comoment = PackedSymmetric(n_units, own["comoment"].device, own["comoment"])
        return MomentState(count, own["shift"], own["mean"], own["scale"], comoment, sketch)
