"""How parameters take in the units of a group, as one pass shows it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..wiring.dimensions import Dimension, leaves
from .cut_groups import named_tensors
from .products import Product, Products
from .tensor_axes import places


@dataclass(frozen=True)
class Reading:
    """How a parameter takes in the units of a group.

    Attributes:
        axis: axis of the parameter along which its inputs lie.
        places: where each unit lies on it, shape (n_places, n_units).
        inputs: the same on the axis of the data; a convolution in groups has several times as many channels.
        bias: name of the parameter that is added to the product, if a constant input can go into it.
        source: number of the tensor that holds the units; readers of one tensor have the same.
    """

    axis: int
    places: Tensor
    inputs: Tensor
    bias: str | None
    source: int = 0


class Sightings:
    """What one pass shows of the readers of groups.

    Args:
        net: the network.
        dimensions: of its parameters.
        readers: for each group, names of the parameters that take its units in.

    Attributes:
        readings: for each group and reader, how it takes the units in.
        reasons: why groups can't be cut.
    """

    def __init__(
        self,
        net: nn.Module,
        dimensions: Mapping[str, tuple[Dimension, ...]],
        readers: Mapping[Dimension, Sequence[str]],
    ) -> None:
        self._net, self._dimensions, self._readers = net, dimensions, readers
        self._tensors = named_tensors(net)
        self._groups: dict[str, list[Dimension]] = defaultdict(list)
        for leaf, names in readers.items():
            for name in names:
                self._groups[name].append(leaf)
        self._sources: dict[Dimension, list[Tensor]] = {leaf: [] for leaf in readers}
        self.readings: dict[Dimension, dict[str, Reading]] = {leaf: {} for leaf in readers}
        self.reasons: dict[Dimension, str] = {}

    def run(self, batch: Any) -> None:
        """Run the network on a batch."""
        products = Products(self._net, self._see)
        products.run([batch])
        for leaf, names in self._readers.items():
            for name in names:
                if name not in self.readings[leaf]:
                    self.reasons.setdefault(
                        leaf, f"{name} reads its units, but not in a product of its own, so it can't make up for any"
                    )
            for name, one in self.readings[leaf].items():
                if one.bias and products.uses[one.bias] > 1:
                    self.readings[leaf][name] = replace(one, bias=None)
        self._sources.clear()

    def _see(self, product: Product) -> None:
        for leaf in self._groups.get(product.parameter, ()):
            if leaf not in self.reasons:
                reading = self._reading(product, leaf)
                reason = reading if isinstance(reading, str) else self._kept(product, leaf, reading)
                if reason:
                    self.reasons[leaf] = reason

    def _kept(self, product: Product, leaf: Dimension, reading: Reading) -> str:
        """Keep a reading; return why it can't be kept."""
        if product.parameter in self.readings[leaf]:
            return f"{product.parameter} reads its units several times"
        sources, here = self._sources[leaf], _fingerprint(product.rows(reading.inputs))
        same = [torch.equal(one, here) for one in sources]
        self.readings[leaf][product.parameter] = replace(reading, source=[*same, True].index(True))
        if not any(same):
            sources.append(here)
        return ""

    def _reading(self, product: Product, leaf: Dimension) -> Reading | str:
        n_groups = product.args[8] if product.is_convolution else 1
        for axis, dimension in enumerate(self._dimensions[product.parameter]):
            if leaf in leaves(dimension) and self._sums_over(product, axis) and not (n_groups > 1 and product.args[6]):
                where = places(dimension, leaf)
                if where is None:
                    return f"{product.parameter} reads products of its units"
                inputs = torch.cat([where + group * dimension.size for group in range(n_groups)])
                return Reading(axis, where, inputs, product.bias if product.takes_constants else None)
        return f"{product.parameter} reads its units, but not along one of its axes, so it can't make up for any"

    def _sums_over(self, product: Product, axis: int) -> bool:
        """Return whether the operation sums over this very axis of the parameter."""
        tensor, weight = self._tensors[product.parameter], product.weight
        if product.is_convolution:
            return weight.shape == tensor.shape and axis == (0 if product.args[6] else 1)
        summed = -1 if product.axis == -2 else max(-2, -weight.dim())
        return (weight.size(summed), weight.stride(summed)) == (tensor.size(axis), tensor.stride(axis))


def _fingerprint(rows: Tensor) -> Tensor:
    """Return numbers that tell a tensor from another without keeping all of it."""
    few = torch.cat([rows[:64], rows[-64:], rows.sum(0, keepdim=True)]).double()
    return torch.cat([few.flatten(), few.new_tensor([len(rows)])]).nan_to_num()
