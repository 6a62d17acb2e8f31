"""Vectors for numba: 64 bytes, so 16 float32 or 8 float64 lanes, one query each.

LLVM spreads a :class:`Lanes` value over the vector registers the machine has. Written because loops over small
arrays keep the running minima in memory, at a third of the speed.
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
        """The vector as LLVM knows it."""
        return ir.VectorType(SCALARS.get(self.scalar) or ir.IntType(self.scalar.bitwidth), self.width)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, lanes.ir_type)


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    view = context.make_array(array_type)(context, builder, array)
    return cgutils.gep_inbounds(builder, view.data, index)


def _spread(builder: Any, value: Any, lanes: Lanes) -> Any:
    undefined = ir.Constant(lanes.ir_type, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes.width), [0] * lanes.width)
    return builder.shuffle_vector(first, undefined, everywhere)


def _smaller_and_larger(builder: Any, a: Any, b: Any, lanes: Lanes) -> tuple[Any, Any]:
    """The smaller and the larger of two distances in each lane.

    Not being negative, float32 are ordered as their bits are, and integer minima are cheapest; a NaN (inf - inf, in
    the padding) is then larger than all. AVX2 has no minima of 64 bits, so float64 is compared as such; a NaN is never
    the smaller.
    """
    if lanes.scalar.bitwidth == 64:
        nearer = builder.fcmp_ordered("<", a, b)
        return builder.select(nearer, a, b), builder.select(nearer, b, a)
    bits = ir.VectorType(ir.IntType(32), lanes.width)
    first, second = builder.bitcast(a, bits), builder.bitcast(b, bits)
    nearer = builder.icmp_signed("<", first, second)
    # chosen as integers, or the compiler does not see that these are minima
    pair = builder.select(nearer, first, second), builder.select(nearer, second, first)
    return builder.bitcast(pair[0], lanes.ir_type), builder.bitcast(pair[1], lanes.ir_type)


def _lane_by_lane(generate: Callable[[Any, Lanes, Any, Any], Any]) -> Callable[..., Any]:
    """An operation on two vectors, from its LLVM code."""

    def typed(typing_context: Any, a: Any, b: Any) -> Any:
        return a(a, a), lambda context, builder, signature, arguments: generate(builder, a, *arguments)

    typed.__name__, typed.__doc__ = generate.__name__, generate.__doc__
    return intrinsic(typed)


@_lane_by_lane
def minus(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """``a - b`` in each lane."""
    return builder.fsub(a, b) if lanes.scalar in SCALARS else builder.sub(a, b)


@_lane_by_lane
def plus(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """``a + b`` in each lane."""
    return builder.fadd(a, b)


@_lane_by_lane
def times(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """``a * b`` in each lane."""
    return builder.fmul(a, b)


@_lane_by_lane
def gap(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """``|a - b|`` in each lane."""
    name = f"llvm.fabs.v{lanes.width}f{lanes.scalar.bitwidth}"
    magnitude = cgutils.get_or_insert_function(builder.module, ir.FunctionType(lanes.ir_type, [lanes.ir_type]), name)
    return builder.call(magnitude, [builder.fsub(a, b)])


@_lane_by_lane
def farther(builder: Any, lanes: Lanes, a: Any, b: Any) -> Any:
    """The larger of two distances in each lane."""
    return _smaller_and_larger(builder, a, b, lanes)[1]


@intrinsic
def beyond(typing_context: Any, here: Any, low: Any, high: Any) -> Any:
    """How far outside of ``low … high`` each lane is, 0 inside."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, least, most = arguments
        below, above = builder.fsub(least, value), builder.fsub(value, most)
        outside = builder.select(builder.fcmp_ordered("<", below, above), above, below)
        zero = ir.Constant(here.ir_type, None)
        return builder.select(builder.fcmp_ordered("<", outside, zero), zero, outside)

    return here(here, low, high), generate


@intrinsic
def any_below(typing_context: Any, a: Any, b: Any) -> Any:
    """Whether ``a < b`` in any lane; a NaN is not."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask = builder.bitcast(builder.fcmp_ordered("<", *arguments), ir.IntType(a.width))
        return builder.icmp_unsigned("!=", mask, ir.Constant(ir.IntType(a.width), 0))

    return types.boolean(a, a), generate


@intrinsic
def pick(typing_context: Any, array: Any, at: Any, offset: Any) -> Any:
    """``array[at + offset]`` in each lane. Loads one by one: no slower than the gathers of AVX2."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        picked = ir.Constant(lanes.ir_type, ir.Undefined)
        base = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        base = cgutils.gep_inbounds(builder, base, arguments[2])
        for lane in range(lanes.width):
            place = ir.Constant(ir.IntType(32), lane)
            index = builder.sext(builder.extract_element(arguments[1], place), ir.IntType(64))
            picked = builder.insert_element(picked, builder.load(cgutils.gep_inbounds(builder, base, index)), place)
        return picked

    return lanes(array, at, types.intp), generate


def _advance(builder: Any, at: Any, arguments: Any, where: Callable[[Any, Any, Any], Any]) -> Any:
    now, step, a, b = arguments
    steps = _spread(builder, builder.trunc(step, ir.IntType(at.scalar.bitwidth)), at)
    return builder.add(now, where(builder.fcmp_ordered("<", a, b), steps, ir.Constant(at.ir_type, None)))


@intrinsic
def plus_where_below(typing_context: Any, at: Any, step: Any, a: Any, b: Any) -> Any:
    """``at + step`` in the lanes where ``a < b``, ``at`` in the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _advance(builder, at, arguments, builder.select)

    return at(at, types.intp, a, b), generate


@intrinsic
def plus_unless_below(typing_context: Any, at: Any, step: Any, a: Any, b: Any) -> Any:
    """``at`` in the lanes where ``a < b``, ``at + step`` in the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _advance(builder, at, arguments, lambda below, steps, zero: builder.select(below, zero, steps))

    return at(at, types.intp, a, b), generate


@intrinsic
def load(typing_context: Any, array: Any, start: Any) -> Any:
    """The lanes ``array[start : start + width]`` of a contiguous array."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _element(context, builder, signature.args[0], *arguments)
        loaded = builder.load(builder.bitcast(element, lanes.ir_type.as_pointer()))
        loaded.align = lanes.scalar.bitwidth // 8
        return loaded

    return lanes(array, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, start: Any, lanes: Any) -> Any:
    """Write the lanes to ``array[start : start + width]``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _element(context, builder, signature.args[0], *arguments[:2])
        stored = builder.store(arguments[2], builder.bitcast(element, lanes.ir_type.as_pointer()))
        stored.align = lanes.scalar.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic
def spread(typing_context: Any, array: Any, index: Any) -> Any:
    """``array[index]`` in every lane; ``index`` is not negative."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(builder, builder.load(_element(context, builder, signature.args[0], *arguments)), lanes)

    return lanes(array, types.intp), generate


@intrinsic
def spread_each(typing_context: Any, values: Any) -> Any:
    """A tuple of numbers as a tuple of vectors, each number in every lane of its own."""
    lanes = Lanes(values.dtype)
    spreads = types.UniTuple(lanes, values.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        each = [_spread(builder, builder.extract_value(arguments[0], i), lanes) for i in range(values.count)]
        return context.make_tuple(builder, spreads, each)

    return spreads(values), generate


@intrinsic
def insert(typing_context: Any, nearest: Any, distance: Any) -> Any:
    """The ascending tuple of the nearest distances so far, after one more; without a branch."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kept, moving = arguments
        for place in range(nearest.count):
            smaller, moving = _smaller_and_larger(builder, moving, builder.extract_value(kept, place), distance)
            kept = builder.insert_value(kept, smaller, place)
        return kept

    return nearest(nearest, distance), generate
