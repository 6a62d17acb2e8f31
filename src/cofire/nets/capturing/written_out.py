"""Activation functions that are written out, such as ``h * torch.sigmoid(h)``: what each step makes of h.

To teach cofire another way of writing, add its function to one of the tables.
"""

from collections.abc import Collection, Mapping
from enum import IntEnum, auto
from typing import Any

from torch import Tensor, nn


class Course(IntEnum):
    """How a tensor depends, unit by unit, on one layer's output h; the higher, the closer to an activation function."""

    CONSTANT = auto()
    """Of its shape only."""
    SCALED = auto()
    """a h + b, with numbers a and b."""
    POWERS = auto()
    """A polynomial, also of abs(h), which makes no gate."""
    CURVED = auto()
    """Another function of h."""
    ACTIVATED = auto()
    """A function of an activation function of h, which a module or a torch function is."""
    WRITTEN_OUT = auto()
    """An activation function that ends with this step."""


def names(text: str) -> frozenset[str]:
    """Return the set of the words in a text."""
    return frozenset(text.split())


PRODUCTS = names("mul multiply rmul imul div divide true_divide itruediv")
SUMS = names("add radd iadd sub subtract rsub isub neg negative")
POWERS = names("abs absolute pow ipow square")
CURVES = names("erf exp expm1 ge gt le lt rdiv reciprocal")
CHOICES = names("maximum minimum fmax fmin max min where masked_fill")
BLANKS = names("zeros_like ones_like full_like")
EXPRESSIONS = PRODUCTS | SUMS | POWERS | CURVES | CHOICES | BLANKS


def operands(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors that one of `EXPRESSIONS` takes, and those that it chooses from; none for a reduction."""
    entries = [*args, *kwargs.values()]
    taken = [entry for entry in entries if isinstance(entry, Tensor)]
    if name not in CHOICES:
        return taken, []
    if (name in ("max", "min") and len(taken) < 2) or (name == "where" and len(entries) < 3):
        return [], []
    is_condition = {"where": 0, "masked_fill": 1}.get(name)
    return taken, [entry for place, entry in enumerate(entries) if isinstance(entry, Tensor) and place != is_condition]


def is_number(tensor: Tensor) -> bool:
    """Return whether a tensor is one number, whatever the size of a batch."""
    return tensor.ndim == 0 or (isinstance(tensor, nn.Parameter) and tensor.numel() == 1)


def course_of(name: str, taken: Collection[Course], chosen: Collection[Course], *, activated: bool) -> Course:
    """Return the course of what one of `EXPRESSIONS` makes of tensors of these courses and of numbers.

    Args:
        name: the function's.
        taken: the courses of all that it takes.
        chosen: of those among them that it chooses from, such as the greater one.
        activated: whether an activation function of h is known already. Then only a product with that one is another:
            what else a model computes of h beside it is none.

    Example:
        >>> course_of("mul", [Course.SCALED, Course.CURVED], [], activated=False).name
        'WRITTEN_OUT'
        >>> course_of("mul", [Course.SCALED, Course.CURVED], [], activated=True).name
        'CURVED'
    """
    highest = max(taken)
    if name in BLANKS or highest is Course.CONSTANT:
        return Course.CONSTANT
    if name in PRODUCTS and Course.SCALED in taken and highest is (Course.ACTIVATED if activated else Course.CURVED):
        return Course.WRITTEN_OUT
    if name in CHOICES and not activated and any(course is not Course.CONSTANT for course in chosen):
        return Course.WRITTEN_OUT
    if name in CURVES | CHOICES:
        return max(highest, Course.CURVED)
    is_square = name in PRODUCTS and sum(course is not Course.CONSTANT for course in taken) > 1
    return max(highest, Course.POWERS if is_square or name in POWERS else Course.SCALED)
