"""Activation functions that are written out, such as ``h * torch.sigmoid(h)``: what each step makes of h.

To teach cofire another way of writing, add its function to one of the tables.
"""

from collections.abc import Sequence
from enum import Enum


class Course(Enum):
    """How a tensor depends, unit by unit, on one layer's output h: a h + b, a function of it, or such an activation."""

    SCALED = "a h + b"
    CURVED = "f(h)"
    WRITTEN_OUT = "h f(h)"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRODUCTS = _names("mul multiply rmul div divide true_divide")
CHOICES = _names("maximum minimum fmax fmin max min where masked_fill")
SUMS = _names("add radd sub subtract rsub neg negative zeros_like ones_like full_like")
CURVES = _names("abs absolute erf exp exp2 expm1 ge gt le log log1p lt pow rdiv reciprocal rpow rsqrt sign sqrt square")
EXPRESSIONS = PRODUCTS | CHOICES | SUMS | CURVES


def course_of(name: str, courses: Sequence[Course]) -> Course:
    """What one of `EXPRESSIONS` makes of tensors of these courses, and of constants.

    Example:
        >>> course_of("mul", [Course.SCALED]), course_of("mul", [Course.SCALED, Course.CURVED])
        (<Course.SCALED: 'a h + b'>, <Course.WRITTEN_OUT: 'h f(h)'>)
    """
    alone = len(courses) == 1
    if name in PRODUCTS:
        gated = Course.SCALED in courses and not all(course is Course.SCALED for course in courses)
        return Course.WRITTEN_OUT if gated else courses[0] if alone else Course.CURVED
    if name in CHOICES:
        return Course.WRITTEN_OUT
    linear = name in SUMS and all(course is Course.SCALED for course in courses)
    return Course.SCALED if linear else Course.CURVED
