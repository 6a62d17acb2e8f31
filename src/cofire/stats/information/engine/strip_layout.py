"""Constants of compiled code: the lanes of a vector, the padding of strips, and numba's options."""

from typing import Any

from .simd import BYTES

LANES = BYTES // 4
STEP = 4  # candidates at a time
PAD = LANES + STEP  # slots on either side of a strip that may be read beyond its end
# Arrays outlive the call, so nothing counts references to them: with counts, every loop would hold calls. Functions
# with and without do not mix.
PLAIN: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
COMPILE: dict[str, Any] = PLAIN | {"cache": True}
# what only compiled code calls becomes part of its callers, and needs no way in from Python
INNER: dict[str, Any] = PLAIN | {"no_cpython_wrapper": True}
# vectors live in registers only as long as nothing is called: the innermost loops are inlined whatever LLVM thinks
WITHIN: dict[str, Any] = INNER | {"forceinline": True}
