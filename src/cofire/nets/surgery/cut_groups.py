"""Cut groups of units out of a network: all tensors that have them on an axis, and the numbers that count them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..wiring.dimensions import Dimension, kept
from .counts import Count, recounted, shapes


class Change:
    """Changes of a network that can be taken back.

    Attributes:
        counts: the numbers that were set, by module and name: ``encoder.0.out_features``.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        self._old: list[tuple[nn.Module, str, Any]] = []

    def set(self, module: nn.Module, name: str, value: Any) -> None:
        """Set an attribute of a module."""
        self._old.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    def count(self, path: str, module: nn.Module, name: str, value: Count) -> None:
        """Set a number and keep it under the module's path."""
        self.set(module, name, value)
        self.counts[f"{path}.{name}" if path else name] = value

    def take_back(self) -> None:
        """Undo all."""
        while self._old:
            module, name, value = self._old.pop()
            setattr(module, name, value)


def replace(net: nn.Module, tensors: Mapping[str, Tensor]) -> Change:
    """Put tensors of other shapes in the place of parameters and buffers, and let the modules' numbers follow.

    Args:
        net: the network, changed in place. A parameter that has several names is replaced under all of them.
        tensors: the new ones by name.
    """
    change, made = Change(), {}
    modules = dict(net.named_modules(remove_duplicate=False))
    before = {path: shapes(module) for path, module in modules.items()}
    for name, old in named_tensors(net).items():
        if name in tensors and id(old) not in made:
            new = tensors[name].detach().to(old.dtype).contiguous().clone()
            made[id(old)] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
    for name, old in named_tensors(net).items():
        if id(old) in made:
            path, _, attribute = name.rpartition(".")
            change.set(modules[path], attribute, made[id(old)])
    for path, module in modules.items():
        for attribute, value in recounted(module, before[path]).items():
            change.count(path, module, attribute, value)
    return change


def cut(
    net: nn.Module,
    dimensions: Mapping[str, tuple[Dimension, ...]],
    keep: Mapping[Dimension, Tensor],
    weights: Mapping[str, Tensor],
) -> Change:
    """Cut groups of units.

    Args:
        net: the network, changed in place.
        dimensions: of its parameters and buffers.
        keep: for each group the units that stay, ascending.
        weights: full-sized tensors that take the place of parameters first.
    """
    smaller = {}
    for name, tensor in named_tensors(net).items():
        new = weights.get(name, tensor.detach())
        for axis, dimension in enumerate(dimensions.get(name, ())):
            indices = kept(dimension, keep)
            if len(indices) < new.shape[axis]:
                new = new.index_select(axis, indices.to(new.device))
        if new is not tensor:
            smaller[name] = new
    return replace(net, smaller)


def named_tensors(net: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers, each under all of its names."""
    parameters = dict(net.named_parameters(remove_duplicate=False))
    return parameters | dict(net.named_buffers(remove_duplicate=False))
