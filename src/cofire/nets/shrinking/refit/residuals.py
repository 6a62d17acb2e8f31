"""Find what is added to the output of a product, as a residual stream is."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...torch_private import DispatchMode
from ..contraction import contraction_of
from ..watching import MEANS, NORMS, UNCOUNTED, Watch, first_of

VIEWS = frozenset({"aten::view", "aten::_unsafe_view", "aten::reshape", "aten::alias", "aten::detach", "aten::clone"})
SUMS = frozenset({"aten::add", "aten::add_"})


@dataclass(frozen=True)
class Residual:
    """What is added to the output of a product.

    Attributes:
        operation: number of the operation that puts it out.
        norm: name of the batch norm between the product and the sum; empty if there is none.
    """

    operation: int
    norm: str = ""


class ResidualWatch(DispatchMode):
    """Finds the sums into which products go straight, or through a view or a batch norm.

    Args:
        watch: sees the same operations; it counts them and knows the parameters.

    Attributes:
        found: by the parameter's name; those that are used several times have none.
    """

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._waiting: dict[int, tuple[str, str, int]] = {}
        self._made_by: dict[int, int] = {}
        self._alive: list[Any] = []
        self.found: dict[str, Residual | None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and see whether a product's output goes into a sum."""
        number = self._watch.number
        output = func(*args, **(kwargs or {}))
        result = first_of(output)
        name, product = func._schema.name, contraction_of(func, args, self._watch.name_of)
        before = self._waiting.get(id(args[0])) if args else None
        if product is not None:
            self._waiting[id(result)] = (product[0], "", number)
        elif before and name in VIEWS:
            self._waiting[id(result)] = before
        elif before and name in NORMS and (mean := self._watch.name_of(args[MEANS])):
            self._waiting[id(result)] = (before[0], mean.rpartition(".")[0], before[2])
        elif name in SUMS and len(args) == 2 and not kwargs:
            self._sum(*args)
        if result is not None and name not in UNCOUNTED:
            self._made_by[id(result)] = number
        self._alive += [args, output]  # so that ids stay their own
        return output

    def _sum(self, a: Any, b: Any) -> None:
        for mine, other in ((a, b), (b, a)):
            waiting = self._waiting.get(id(mine))
            if waiting is None or not isinstance(other, Tensor) or other.shape != mine.shape:
                continue
            name, norm, number = waiting
            made = self._made_by.get(id(other), number)
            if made < number:
                self.found[name] = None if name in self.found else Residual(made, norm)

    def forget(self) -> None:
        """Let all tensors go."""
        self._waiting.clear()
        self._made_by.clear()
        self._alive.clear()
