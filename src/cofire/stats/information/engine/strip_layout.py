"""Constants of compiled code: the lanes of a vector, the padding of strips, and numba's options."""

from typing import Any

from .simd import BYTES

LANES = BYTES // 4
STEP = 4  # candidates at a time
PAD = LANES + STEP  # slots beyond either end of a strip that may be read
# Arrays outlive the call, so references to them are not counted: counting puts calls into every loop. Functions with
# and without counting cannot call one another.
PLAIN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
COMPILE: dict[str, Any] = PLAIN | {"cache": True}
# for functions that only compiled code calls: no entry point for Python
INNER: dict[str, Any] = PLAIN | {"no_cpython_wrapper": True}
# Vectors stay in registers only as long as nothing is called, so the innermost loops are always inlined.
WITHIN: dict[str, Any] = INNER | {"forceinline": True}
