"""How the units lie in a weight, and why other tensors hold none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from ..tensor_kinds import PLAIN


@dataclass(frozen=True, eq=False)
class Reading:
    """A weight, and how its units lie in it.

    Attributes:
        layer: its name, with the gate or projection behind it where a layer has several.
        weight: as it is stored.
        unit_axis: the axis of the units, 0 or 1.
        groups: of a convolution.
        notes: sentences on what was assumed.
        switched_off: units that never vary, whatever their weights, because of the batch norm behind them.
        n_biases: how many biases go with it.
    """

    layer: str
    weight: Tensor
    unit_axis: int = 0
    groups: int = 1
    notes: tuple[str, ...] = ()
    switched_off: tuple[int, ...] = ()
    n_biases: int = 0


@dataclass(frozen=True, eq=False)
class Readings:
    """The weights found.

    Attributes:
        found: in the order of the model or file.
        left_out: other tensors by name, with the reason.
        in_order: whether that order is the network's; a file sorted by name does not show it.
    """

    found: tuple[Reading, ...]
    left_out: Mapping[str, str]
    in_order: bool = True


Seen: TypeAlias = dict[tuple[int, int], str]
"""Names of weights by where they lie in memory, so that a tied one is measured once."""


def tied(seen: Seen, name: str, tensor: Tensor) -> str | None:
    """Note a weight; return a reason if the same memory came before under another name."""
    # Empty tensors all lie at address 0.
    first = seen.setdefault((tensor.data_ptr(), tensor.numel()), name) if tensor.numel() else name
    return None if first == name else f"the same tensor as {first}"


def plain(tensor: Tensor) -> Tensor:
    """Return eight-bit floats as float32 and all others unchanged."""
    tensor = tensor.detach()
    return tensor if tensor.dtype in PLAIN else tensor.float()
