"""Plant copies in networks of any kind, by their wiring."""

from typing import Any

import torch
from torch import nn

from cofire.nets.surgery.cut_groups import named_tensors
from cofire.nets.surgery.tensor_axes import places
from cofire.nets.wiring.wiring import wire


@torch.no_grad()
def plant_everywhere(model: nn.Module, x: Any) -> None:
    """Make unit 1 of each free group a copy of unit 0 in all tensors but those that read it.

    Units that an operation mixes or multiplies with one another are left: there, a copy is no spare unit.
    """
    wiring = wire(model, x)
    for group in wiring.groups:
        if group.fixed or group.size < 2 or any(one.startswith(("reduced", "coupled")) for one in group.marks):
            continue
        for name, tensor in named_tensors(model).items():
            for axis, dimension in enumerate(wiring.dimensions[name]):
                where = places(dimension, group.leaf)
                if where is not None and len(where) and name not in group.readers:
                    tensor.index_copy_(axis, where[:, 1], tensor.index_select(axis, where[:, 0]))
