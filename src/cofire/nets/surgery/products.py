"""See what the parameters of a network take in when it runs: every product of a weight and data."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..loading.batches import forward
from ..loading.eval_mode import evaluating
from ..torch_private import DispatchMode
from ..wiring.fake_copy import undisturbed

OPERANDS: Mapping[str, tuple[int, int]] = {
    "aten::mm": (0, 1),
    "aten::bmm": (0, 1),
    "aten::mv": (0, 1),
    "aten::dot": (0, 1),
    "aten::addmm": (1, 2),
    "aten::addmv": (1, 2),
    "aten::baddbmm": (1, 2),
    "aten::convolution": (0, 1),
    "aten::_grouped_mm": (0, 1),
}
"""The operations that are linear in a weight, and which of their arguments are multiplied."""


@dataclass(frozen=True)
class Product:
    """An operation that ran, in which a parameter took data in.

    Attributes:
        parameter: its name.
        function: the operation.
        args: its arguments.
        kwargs: those given by name.
        at: which argument is the parameter, or a view of it.
        data: the data.
        output: what came out.
        bias: name of the parameter that is added.
    """

    parameter: str
    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    at: int
    data: Tensor
    output: Tensor
    bias: str | None

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution, whose channels lie on axis 1."""
        return self.function._schema.name == "aten::convolution"

    @property
    def weight(self) -> Tensor:
        """The parameter as the operation got it."""
        return self.args[self.at]

    @property
    def axis(self) -> int:
        """The axis of the data over which it sums."""
        return 1 if self.is_convolution else -2 if self.at < max(OPERANDS[self.function._schema.name]) else -1

    @property
    def takes_constants(self) -> bool:
        """Whether a constant input adds the same to every output: no position sees padding instead."""
        return not (any(self.args[4]) or self.args[6]) if self.is_convolution else not self.kwargs

    def rows(self, places: Tensor) -> Tensor:
        """Return the units at places along the axis of the data, shape (n_samples, n_units); positions are samples."""
        features = self.data.movedim(self.axis if self.data.dim() > 1 else 0, -1)
        return features[..., places.to(features.device)].reshape(-1, places.shape[1])

    def output_rows(self, output: Tensor) -> Tensor:
        """Return an output of the operation with its units last, shape (n_samples, n_units)."""
        if output.dim() < 2:  # a vector of units, or one unit over samples
            return output.reshape((1, -1) if self.axis == -2 else (-1, 1))
        return output.movedim(self.axis, -1).flatten(0, -2)

    def moved(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return what changes of the parameter and of what is added do to the output."""
        args, added = list(self.args), added_at(self.function, self.args)
        view = self.weight
        args[self.at] = weight.as_strided(view.size(), view.stride(), view.storage_offset())
        if added is not None:
            args[added] = torch.zeros_like(args[added]) if bias is None else bias
        return self.function(*args, **self.kwargs)


def added_at(function: Any, args: Sequence[Any]) -> int | None:
    """Return which argument of such an operation is added to the product."""
    first = min(OPERANDS[function._schema.name])
    at = 2 if function._schema.name == "aten::convolution" else 0 if first else None
    return None if at is None or args[at] is None else at


class Products(DispatchMode):
    """Shows every product of a parameter and data that runs inside its block.

    Args:
        net: the network; each of its parameters has memory of its own, unless two are the same.
        see: called with each product.

    Attributes:
        uses: how often operations took each parameter in.
    """

    def __init__(self, net: nn.Module, see: Callable[[Product], None]) -> None:
        super().__init__()
        named = reversed(list(net.named_parameters(remove_duplicate=False)))
        self._names = {one.untyped_storage().data_ptr(): name for name, one in named if one.numel()}
        self._net, self._see = net, see
        self.uses: Counter[str] = Counter()

    def run(self, batches: Iterable[Any]) -> None:
        """Run the network over data, in eval mode."""
        with evaluating(self._net), undisturbed(self._net), self:
            for batch in batches:
                forward(self._net, batch)

    def _name_of(self, tensor: Any) -> str | None:
        """Return the parameter that a tensor is, or is a view of."""
        return self._names.get(tensor.untyped_storage().data_ptr()) if isinstance(tensor, Tensor) else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and show it if it is a product."""
        output = func(*args, **(kwargs or {}))
        names = [self._name_of(one) for one in args]
        self.uses.update(name for name in names if name)
        first, second = OPERANDS.get(func._schema.name, (0, 0))
        for at, other in ((first, second), (second, first)) if second else ():
            if (name := names[at]) and not names[other]:
                added = added_at(func, args)
                bias = None if added is None else names[added]
                self._see(Product(name, func, args, kwargs or {}, at, args[other], output, bias))
        return output
