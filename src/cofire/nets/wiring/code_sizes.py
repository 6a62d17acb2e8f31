"""Sizes that modules keep as numbers, such as ``num_heads``: which dimensions they count, seen where code uses them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeVar
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..layer_names import named_layers
from ..tensors_in import look_into
from ..torch_private import tree_leaves
from .calls import Signal, Step
from .dimensions import Dimension, factors, root, size_after
from .fake_copy import SafeCopies, clear_leaks, fake_arguments, never_run, undisturbed
from .follow import Follower
from .wired_layers import Operation, Wiring
from .wiring import Arguments, on_fakes, tensors_of

T = TypeVar("T")
SHAPING = frozenset(
    {
        "view", "reshape", "unflatten", "expand", "narrow", "new_zeros", "new_ones", "new_empty", "new_full", "zeros",
        "ones", "empty", "full",
    }
)  # fmt: skip
"""Functions of torch that are told sizes of what they return."""
PIECES = frozenset({"split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"})
PIECE_SIZES = ("split_size", "split_sizes", "split_size_or_sections")
"""What they call the sizes of the pieces that they return."""

KINDS: Mapping[type, Callable[[list[Any]], Any]] = {tuple: tuple, list: list, torch.Size: torch.Size}
"""Containers of sizes."""


class Attribute(NamedTuple):
    """A number that a module keeps: ``module.name``, or one entry of it where it is a tuple or list."""

    module: str
    name: str
    entry: int = -1


class Size(int):
    """A size that remembers the attributes whose product it is; factors that are plain numbers count as None."""

    of: tuple[tuple[Attribute | None, int], ...]

    @classmethod
    def made(cls, value: int, of: tuple[tuple[Attribute | None, int], ...]) -> "Size":
        """Return a size with what it is made of."""
        one = cls(value)
        one.of = of
        return one

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        more = other.of if isinstance(other, Size) else ((None, int(other)),)
        return Size.made(int(self) * int(other), self.of + more)

    def __rmul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return Size.made(int(self) * int(other), ((None, int(other)), *self.of))


def code_sizes(model: nn.Module, arguments: Arguments, wiring: Wiring) -> dict[Attribute, tuple[Dimension, ...]]:
    """Return the dimensions that modules' numbers count, where code hands these numbers to torch as sizes.

    A number is never guessed by its value: it is followed from the attribute through products to the operation. Where
    the pass differs from that of the wiring, nothing is found.
    """
    seen = _SizesSeen()

    def read(steps: list[Step]) -> dict[Attribute, tuple[Dimension, ...]]:
        found: dict[Attribute, dict[Dimension, None]] = defaultdict(dict)
        if [step.name for step in steps] != [one.name for one in wiring.operations]:
            return {}
        place = {
            signal: dimensions
            for step, operation in zip(steps, wiring.operations, strict=True)
            for signal, dimensions in zip(step.outputs, operation.outputs, strict=False)
            if dimensions is not None
        }
        for signal, axis, size in seen.used:
            if signal in place and axis < len(place[signal]):
                for attribute, dimension in _counted(size, place[signal][axis]):
                    found[attribute][root(dimension)] = None
        return {attribute: tuple(dimensions) for attribute, dimensions in found.items()}

    try:
        return _eval_pass(model, arguments, read, seen)
    except Exception:  # the forward is the user's code, which may not take our numbers
        return {}


def _counted(size: Size, dimension: Dimension) -> list[tuple[Attribute, Dimension]]:
    """Return which part of a dimension each attribute counts; nothing where it can't be told."""
    if dimension.size != size:
        return []
    named = [(attribute, value) for attribute, value in size.of if attribute is not None]
    if len(size.of) == 1 and named:
        return [(named[0][0], dimension)]
    parts = factors(dimension)
    found = []
    for attribute, value in named:
        here = [part for part in parts if part.size == value]
        if len(here) == 1 and [one for _, one in size.of].count(value) == 1:
            found.append((attribute, here[0]))
    return found


class _SizesSeen(TorchFunctionMode):
    """Sees which of a module's numbers code hands to torch as sizes.

    Attributes:
        used: what is known of the tensor that came out, the axis, and the size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.follower: Follower | None = None
        self.used: list[tuple[Signal, int, Size]] = []

    def prepare(self, model: nn.Module, follower: Follower) -> None:
        """Put numbers that remember in the place of those that a copied model keeps."""
        self.follower = follower
        for path, module in named_layers(model).items():
            own = vars(module)
            for name, value in own.items():
                if type(value) is int and value > 1:
                    own[name] = Size.made(value, ((Attribute(path, name), value),))
                elif type(value) in KINDS:
                    items: list[Any] = [*own[name]]
                    if items and all(type(one) is int for one in items):
                        made = [Size.made(one, ((Attribute(path, name, k), one),)) for k, one in enumerate(items)]
                        own[name] = KINDS[type(value)](made)
            if isinstance(own.get("num_features"), Size) and not [*module.parameters(), *module.buffers()]:
                module.register_forward_pre_hook(self._note_features)

    def _note_features(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Note the channels that a normalization without tensors of its own compares its number with."""
        shape, n = args[0].shape, vars(module)["num_features"]
        axis = next((axis for axis in (1, 0) if shape[axis : axis + 1] == (n,)), None)
        if axis is not None:
            self._use(args[0], axis, n)

    def forget(self) -> None:
        """Let the tensors of the pass go."""
        self.follower, self.used = None, []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function; note the sizes that it was given."""
        kwargs = kwargs or {}
        output, name = func(*args, **kwargs), getattr(func, "__name__", "")
        if self.follower is None or not any(isinstance(one, Size) for one in tree_leaves((args, kwargs))):
            return output
        if name in PIECES:
            self._note_pieces(output, *args[1:], **kwargs)
        elif name in SHAPING:
            numbers = [one for one in tree_leaves((args, kwargs)) if isinstance(one, int) and not isinstance(one, bool)]
            for tensor in [one for one in tree_leaves(output) if isinstance(one, Tensor)]:
                self._note(tensor, numbers)
        return output

    def _note(self, tensor: Tensor, numbers: Sequence[int]) -> None:
        shape = list(tensor.shape)
        if len(numbers) == len(shape):
            axes = list(enumerate(numbers))
        else:
            axes = [(shape.index(one), one) for one in numbers if shape.count(one) == 1]
        for axis, one in axes:
            self._use(tensor, axis, one)

    def _note_pieces(self, pieces: Sequence[Tensor], sizes: Any = 0, dim: int = 0, **given: Any) -> None:
        """Note the sizes of pieces: one for each, or one for all but perhaps the last."""
        sizes = next((given[name] for name in PIECE_SIZES if name in given), sizes)
        each = sizes if isinstance(sizes, tuple | list) else [sizes] * len(pieces)
        for piece, size in zip(pieces, each, strict=False):
            self._use(piece, dim % piece.dim(), size)

    def _use(self, tensor: Tensor, axis: int, size: int) -> None:
        if isinstance(size, Size) and self.follower is not None and axis < tensor.dim() and tensor.shape[axis] == size:
            self.used.append((self.follower.signal(tensor), axis, size))


def ran_operations(model: nn.Module, arguments: Arguments) -> list[tuple[str, list[tuple[int, ...]]]]:
    """Return the operations of a pass in eval mode, each with the shapes that it put out.

    These are the shapes at the operation: a later one may turn a tensor in place, as a GRU does.
    """

    def read(steps: list[Step]) -> list[tuple[str, list[tuple[int, ...]]]]:
        return [(step.name, [tuple(d.size for d in one.dimensions) for one in step.outputs]) for step in steps]

    return _eval_pass(model, arguments, read)


def as_predicted(
    operations: Sequence[Operation],
    ran: Sequence[tuple[str, Sequence[tuple[int, ...]]]],
    sizes: Mapping[Dimension, int],
) -> bool:
    """Return whether a smaller network runs the operations of the network as it was, at the sizes of a cut.

    Args:
        operations: of the network as it was.
        ran: of the smaller network.
        sizes: of the leaves that were cut.
    """
    if [one.name for one in operations] != [name for name, _ in ran]:
        return False
    return all(
        tuple(size_after(one, sizes) for one in wanted) == shape
        for operation, (_, shapes) in zip(operations, ran, strict=True)
        for wanted, shape in zip(operation.outputs, shapes, strict=False)
        if wanted is not None
    )


def _eval_pass(
    model: nn.Module, arguments: Arguments, read: Callable[[list[Step]], T], sizes: "_SizesSeen | None" = None
) -> T:
    """Follow a pass in eval mode on a fake copy, and return what is read from its operations.

    Raises:
        Exception: whatever the model's forward raises.
    """
    with undisturbed(model):
        found, made = _followed(model, arguments, read, sizes)  # a function of its own: its tensors end with it
        clear_leaks(made)
    return found


def _followed(
    model: nn.Module, arguments: Arguments, read: Callable[[list[Step]], T], sizes: "_SizesSeen | None"
) -> tuple[T, list[ReferenceType[Tensor]]]:
    mode, made, follower = on_fakes(model)
    made.eval()
    given = fake_arguments(arguments, mode)
    follower.give(look_into(given).tensors)
    with ExitStack() as stack:
        for context in (never_run(model), mode, follower, SafeCopies()):
            stack.enter_context(context)
        if sizes is not None:
            sizes.prepare(made, follower)
            stack.enter_context(sizes)
        made(*given[0], **given[1])
    if follower.error is not None:
        raise follower.error
    found = read(follower.steps)
    if sizes is not None:
        sizes.forget()
    return found, [*follower.made, *map(ref, tensors_of(made).values())]
