"""The kernel behind `_search_on_gpu`, in Triton's language."""

# triton is there where torch can compile for a GPU; nothing else imports this file
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportMissingParameterType=false

import triton
import triton.language as tl

AT_ONCE = tl.constexpr(8)  # candidates whose loads do not wait for one another
INFINITY = tl.constexpr(float("inf"))


@triton.jit
def search_all(
    x_all, y_all, number, radius, near_x, near_y, width, K: tl.constexpr, ROWS: tl.constexpr
):  # fmt: skip
    """For some samples of one pair: the k-th smallest distance to the others, then how many are within it."""
    pair, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    x_all += pair * width
    y_all += pair * width
    n_samples = tl.load(number + pair).to(tl.int32)
    rows = block * ROWS + tl.arange(0, ROWS)
    held = rows < n_samples
    x = tl.load(x_all + rows, mask=held, other=0.0)
    y = tl.load(y_all + rows, mask=held, other=0.0)
    n0 = tl.full([ROWS], float("inf"), tl.float32)
    n1, n2, n3, n4, n5, n6, n7 = n0, n0, n0, n0, n0, n0, n0
    for start in range(0, n_samples, AT_ONCE):
        for step in tl.static_range(AT_ONCE):
            at = start + step
            u = tl.load(x_all + at, mask=at < n_samples, other=INFINITY)
            v = tl.load(y_all + at, mask=at < n_samples, other=INFINITY)
            far = tl.maximum(tl.abs(x - u), tl.abs(y - v))
            far = tl.where(rows == at, INFINITY, far)
            # insertion into the ascending n0, n1, ... without a branch
            far, n0 = tl.maximum(n0, far), tl.minimum(n0, far)
            if K > 1:
                far, n1 = tl.maximum(n1, far), tl.minimum(n1, far)
            if K > 2:
                far, n2 = tl.maximum(n2, far), tl.minimum(n2, far)
            if K > 3:
                far, n3 = tl.maximum(n3, far), tl.minimum(n3, far)
            if K > 4:
                far, n4 = tl.maximum(n4, far), tl.minimum(n4, far)
            if K > 5:
                far, n5 = tl.maximum(n5, far), tl.minimum(n5, far)
            if K > 6:
                far, n6 = tl.maximum(n6, far), tl.minimum(n6, far)
            if K > 7:
                far, n7 = tl.maximum(n7, far), tl.minimum(n7, far)
    kth = n0
    if K == 2:
        kth = n1
    if K == 3:
        kth = n2
    if K == 4:
        kth = n3
    if K == 5:
        kth = n4
    if K == 6:
        kth = n5
    if K == 7:
        kth = n6
    if K == 8:
        kth = n7
    count_x = tl.zeros([ROWS], tl.int32)
    count_y = tl.zeros([ROWS], tl.int32)
    for start in range(0, n_samples, AT_ONCE):
        for step in tl.static_range(AT_ONCE):
            at = start + step
            u = tl.load(x_all + at, mask=at < n_samples, other=INFINITY)
            v = tl.load(y_all + at, mask=at < n_samples, other=INFINITY)
            count_x += (tl.abs(x - u) < kth).to(tl.int32)
            count_y += (tl.abs(y - v) < kth).to(tl.int32)
    places = pair * width + rows
    tl.store(radius + places, kth, mask=held)
    tl.store(near_x + places, count_x, mask=held)
    tl.store(near_y + places, count_y, mask=held)
