"""Vectors for numba: 64 bytes, so 16 float32 or 8 float64 lanes, one query each.

LLVM spreads a :class:`Lanes` value over the vector registers of the machine. Plain loops over small arrays take 1.8 to
2.1 times as long, as they keep the running minima in memory (docs/decisions/0013-vector-instructions.md).
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

BYTES = 64
SCALARS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


class Lanes(types.Type):
    """The type of a vector of ``BYTES`` bytes of one floating-point or integer type."""

    def __init__(self, scalar: Any) -> None:
        self.scalar = scalar
        self.width = BYTES * 8 // scalar.bitwidth
        super().__init__(name=f"Lanes({scalar})")

    @property
    def ir_type(self) -> ir.VectorType:
        """Return the type of the vector in LLVM."""
        return ir.VectorType(SCALARS.get(self.scalar) or ir.IntType(self.scalar.bitwidth), self.width)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, lanes.ir_type)


def spread_over(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    """Return the LLVM code for a value in every lane of a vector."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(places(vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, everywhere)


def places(width: int) -> ir.VectorType:
    """Return the type of the vectors that number lanes."""
    return ir.VectorType(ir.IntType(32), width)


def _smaller_and_larger(builder: Any, a: Any, b: Any, lanes: Lanes) -> tuple[Any, Any]:
    """Return the smaller and the larger of two distances in each lane.

    Non-negative float32 have the order of their bits, and integer minima are cheapest; a NaN (inf - inf, in the
    padding) is then larger than all. AVX2 has no integer minima of 64 bits, so float64 is compared as such, where
    a NaN is never the smaller.
    """
    if lanes.scalar.bitwidth == 64:
        nearer = builder.fcmp_ordered("<", a, b)
        return builder.select(nearer, a, b), builder.select(nearer, b, a)
    bits = ir.VectorType(ir.IntType(32), lanes.width)
    first, second = builder.bitcast(a, bits), builder.bitcast(b, bits)
    nearer = builder.icmp_signed("<", first, second)
    # selected as integers, or LLVM does not recognize minima
    pair = builder.select(nearer, first, second), builder.select(nearer, second, first)
    return builder.bitcast(pair[0], lanes.ir_type), builder.bitcast(pair[1], lanes.ir_type)


def _lane_by_lane(generate: Callable[[Any, Lanes, Any, Any], Any]) -> Callable[..., Any]:
    """Make an operation on two vectors from its LLVM code."""

    def typed(typing_context: Any, a: Any, b: Any) -> Any:
        return a(a, a), lambda context, builder, signature, arguments: generate(builder, a, *arguments)

    typed.__name__, typed.__doc__ = generate.__name__, generate.__doc__
    return intrinsic(typed)


@_lane_by_lane
def minus(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """Return ``a - b`` in each lane."""
    return builder.fsub(a, b) if lanes.scalar in SCALARS else builder.sub(a, b)


@_lane_by_lane
def plus(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """Return ``a + b`` in each lane."""
    return builder.fadd(a, b)


@_lane_by_lane
def times(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """Return ``a * b`` in each lane."""
    return builder.fmul(a, b)


@_lane_by_lane
def gap(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """Return ``|a - b|`` in each lane."""
    return _magnitude(builder, builder.fsub(a, b), lanes)


@_lane_by_lane
def nearer(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """Return the smaller of two distances in each lane."""
    return _smaller_and_larger(builder, a, b, lanes)[0]


@_lane_by_lane
def farther(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """Return the larger of two distances in each lane."""
    return _smaller_and_larger(builder, a, b, lanes)[1]


@intrinsic
def lowest_difference(typing_context: Any, a: Any, b: Any) -> Any:
    """Return the smallest ``a - b`` over the lanes where it is a number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _most(builder, a, "<", builder.fsub(*arguments))

    return a.scalar(a, b), generate


@intrinsic
def highest_sum(typing_context: Any, a: Any, b: Any) -> Any:
    """Return the largest ``a + b`` over the lanes where it is a number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _most(builder, a, ">", builder.fadd(*arguments))

    return a.scalar(a, b), generate


def _most(builder: Any, lanes: Lanes, order: str, values: Any) -> Any:
    """Return the first of all lanes in an order, without NaN, by halves: LLVM's reductions go lane by lane."""
    last = ir.Constant(lanes.ir_type, [float("inf") if order == "<" else float("-inf")] * lanes.width)
    left = builder.select(builder.fcmp_ordered("ord", values, values), values, last)
    width = lanes.width
    while width > 1:
        width //= 2
        others = ir.Constant(places(lanes.width), [(lane + width) % lanes.width for lane in range(lanes.width)])
        other = builder.shuffle_vector(left, left, others)
        left = builder.select(builder.fcmp_ordered(order, left, other), left, other)
    return builder.extract_element(left, ir.Constant(ir.IntType(32), 0))


@intrinsic
def count_below(typing_context: Any, a: Any, b: Any) -> Any:
    """Count the lanes in which ``a < b``; a NaN does not count."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask = builder.bitcast(builder.fcmp_ordered("<", *arguments), ir.IntType(a.width))
        return builder.zext(builder.ctpop(mask), ir.IntType(64))

    return types.intp(a, b), generate


@intrinsic
def largest(typing_context: Any, a: Any, b: Any) -> Any:
    """Return the larger of ``|a|`` and ``|b|`` in each lane: one instruction with AVX-512, three without."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, features = context.codegen().magic_tuple()
        if a.scalar.bitwidth == 32 and "+avx512dq" in features:
            return _range(builder, a, *arguments)
        first, second = (_magnitude(builder, one, a) for one in arguments)
        return _smaller_and_larger(builder, first, second, a)[1]

    return a(a, b), generate


def _range(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    number, mask = ir.IntType(32), ir.IntType(16)
    kind = ir.FunctionType(lanes.ir_type, [lanes.ir_type, lanes.ir_type, number, lanes.ir_type, mask, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.mask.range.ps.512")
    largest_magnitude, current_rounding = number(0b1011), number(4)
    return builder.call(
        function, [a, b, largest_magnitude, ir.Constant(lanes.ir_type, None), mask(-1), current_rounding]
    )


def _magnitude(builder: Any, value: Any, lanes: Lanes) -> Any:
    name = f"llvm.fabs.v{lanes.width}f{lanes.scalar.bitwidth}"
    kind = ir.FunctionType(lanes.ir_type, [lanes.ir_type])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value])


@intrinsic
def beyond(typing_context: Any, here: Any, low: Any, high: Any) -> Any:
    """Return how far outside of ``low … high`` each lane is, 0 inside."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, least, most = arguments
        below, above = builder.fsub(least, value), builder.fsub(value, most)
        outside = builder.select(builder.fcmp_ordered("<", below, above), above, below)
        zero = ir.Constant(here.ir_type, None)
        return builder.select(builder.fcmp_ordered("<", outside, zero), zero, outside)

    return here(here, low, high), generate


@intrinsic
def any_below(typing_context: Any, a: Any, b: Any) -> Any:
    """Return whether ``a < b`` in any lane; a NaN does not count."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask = builder.bitcast(builder.fcmp_ordered("<", *arguments), ir.IntType(a.width))
        return builder.icmp_unsigned("!=", mask, ir.Constant(ir.IntType(a.width), 0))

    return types.boolean(a, a), generate


def _advance(builder: Any, at: Any, arguments: Any, where: Callable[[Any, Any, Any], Any]) -> Any:
    now, step, a, b = arguments
    steps = spread_over(builder, builder.trunc(step, at.ir_type.element), at.ir_type)
    return builder.add(now, where(builder.fcmp_ordered("<", a, b), steps, ir.Constant(at.ir_type, None)))


@intrinsic
def plus_where_below(typing_context: Any, at: Any, step: Any, a: Any, b: Any) -> Any:
    """Return ``at + step`` in the lanes where ``a < b``, ``at`` in the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _advance(builder, at, arguments, builder.select)

    return at(at, types.intp, a, b), generate


@intrinsic
def plus_unless_below(typing_context: Any, at: Any, step: Any, a: Any, b: Any) -> Any:
    """Return ``at`` in the lanes where ``a < b``, ``at + step`` in the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _advance(builder, at, arguments, lambda below, steps, zero: builder.select(below, zero, steps))

    return at(at, types.intp, a, b), generate


@intrinsic
def insert_each(typing_context: Any, nearest: Any, distance: Any) -> Any:
    """Return the ascending tuple of the nearest distances so far after one more, without a branch."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kept, moving = arguments
        for place in range(nearest.count):
            smaller, moving = _smaller_and_larger(builder, moving, builder.extract_value(kept, place), distance)
            kept = builder.insert_value(kept, smaller, place)
        return kept

    return nearest(nearest, distance), generate
