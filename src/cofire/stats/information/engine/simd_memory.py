"""Loads and stores of vectors in numba; see :mod:`.simd`."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import Lanes, places, spread_over


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    view = context.make_array(array_type)(context, builder, array)
    return cgutils.gep_inbounds(builder, view.data, index)


@intrinsic
def infinite_in(typing_context: Any, array: Any, lane: Any) -> Any:
    """Return infinity in one lane and 0 in the others, in a vector of the array's type."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = places(lanes.width)
        wanted = spread_over(builder, builder.trunc(arguments[1], numbers.element), numbers)
        here = builder.icmp_signed("==", wanted, ir.Constant(numbers, list(range(lanes.width))))
        infinite = ir.Constant(lanes.ir_type, [float("inf")] * lanes.width)
        return builder.select(here, infinite, ir.Constant(lanes.ir_type, None))

    return lanes(array, types.intp), generate


@intrinsic
def pick(typing_context: Any, array: Any, at: Any, offset: Any) -> Any:
    """Return ``array[at + offset]`` in each lane, loaded one by one, which is as fast as the gathers of AVX2."""
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


@intrinsic
def load(typing_context: Any, array: Any, start: Any) -> Any:
    """Return the lanes ``array[start : start + width]`` of a contiguous array."""
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
    """Return ``array[index]`` in every lane; ``index`` is not negative."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return spread_over(
            builder, builder.load(_element(context, builder, signature.args[0], *arguments)), lanes.ir_type
        )

    return lanes(array, types.intp), generate


@intrinsic
def spread_each(typing_context: Any, values: Any) -> Any:
    """Return a tuple of vectors, each with one of the numbers in every lane."""
    lanes = Lanes(values.dtype)
    spreads = types.UniTuple(lanes, values.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        each = [
            spread_over(builder, builder.extract_value(arguments[0], i), lanes.ir_type) for i in range(values.count)
        ]
        return context.make_tuple(builder, spreads, each)

    return spreads(values), generate


@intrinsic
def store_each(typing_context: Any, array: Any, start: Any, several: Any) -> Any:
    """Write vectors to consecutive places."""
    lanes = several.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _element(context, builder, signature.args[0], *arguments[:2])
        pointer = builder.bitcast(element, lanes.ir_type.as_pointer())
        for i in range(several.count):
            place = builder.gep(pointer, [ir.Constant(ir.IntType(32), i)])
            builder.store(builder.extract_value(arguments[2], i), place).align = lanes.scalar.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, several), generate


@intrinsic
def load_each(typing_context: Any, array: Any, start: Any, values: Any) -> Any:
    """Return as many vectors as a tuple has values, from consecutive places."""
    lanes = Lanes(array.dtype)
    several = types.UniTuple(lanes, values.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _element(context, builder, signature.args[0], *arguments[:2])
        pointer = builder.bitcast(element, lanes.ir_type.as_pointer())
        each = []
        for i in range(values.count):
            loaded = builder.load(builder.gep(pointer, [ir.Constant(ir.IntType(32), i)]))
            loaded.align = lanes.scalar.bitwidth // 8
            each.append(loaded)
        return context.make_tuple(builder, several, each)

    return several(array, types.intp, values), generate
