"""Rules for operations that keep every entry at its place, make tensors, or compute along axes."""

from ..calls import Call, fresh, reduced_over, united
from ..dimensions import Dimension, fix, product
from .rule_table import rule


@rule(
    "detach clone alias lift_fresh lift _to_copy contiguous copy dropout native_dropout bernoulli uniform normal "
    "zeros_like ones_like full_like empty_like rand_like randn_like fill zero masked_fill where "
    "hardswish hardsigmoid hardtanh silu gelu elu leaky_relu softplus prelu _prelu_kernel mish threshold "
    "rrelu_with_noise log_sigmoid_forward view_of clamp complex _conj _neg_view resolve_conj resolve_neg"
)
def elementwise(call: Call) -> None:
    """Follow entry by entry, with broadcasting. A parameter beside data rides on it: a scale, a bias, a slope."""
    varies = any(signal.varies for signal in call.inputs)
    for tensor in call.outputs():
        call.emit(united([one for one in call.inputs if len(one.dimensions) <= tensor.dim()], tensor.shape), tensor)
    for signal in call.inputs if varies else ():
        call.use("rider", signal, signal.dimensions)


@rule(
    "zeros ones full empty new_zeros new_ones new_full new_empty empty_strided new_empty_strided _efficientzerotensor"
)
def blank(call: Call) -> None:
    """Follow a tensor whose size the code gives: free until it meets another."""
    for tensor in call.outputs():
        call.emit([Dimension(size) if size != 1 else product([]) for size in tensor.shape], tensor)


@rule("arange eye scalar_tensor randn rand randint linspace randperm tril_indices triu_indices hann_window")
def factory(call: Call) -> None:
    """Follow a tensor whose entries differ along dimensions that the code gives."""
    for tensor in call.outputs():
        call.emit([fresh(size, f"its size is given to {call.name}") for size in tensor.shape], tensor)


@rule(
    "mean sum amax amin var var_mean std std_mean prod any all argmax argmin logsumexp linalg_vector_norm norm max min "
    "count_nonzero median"
)
def reduction(call: Call) -> None:
    """Follow sums and the like over some axes."""
    dimensions = call.inputs[0].dimensions
    asked = call.get("dim", [])
    axes = {one % len(dimensions) for one in ([asked] if isinstance(asked, int) else asked)} or set(
        range(len(dimensions))
    )
    reduced_over(call, [dimensions[axis] for axis in axes])
    one = product([])
    left = [one if axis in axes else d for axis, d in enumerate(dimensions) if call.get("keepdim") or axis not in axes]
    for tensor in call.outputs():
        call.emit(left if tensor.dim() == len(left) else [one] * tensor.dim(), tensor)


@rule("_softmax _log_softmax softmax log_softmax")
def along(call: Call) -> None:
    """Follow operations along one axis that keep the shape and the place of each unit."""
    dimensions = call.inputs[0].dimensions
    reduced_over(call, [dimensions[call.axis()]])
    for tensor in call.outputs():
        call.emit(dimensions, tensor)


@rule("cumsum cumprod cummax cummin _cummax_helper _cummin_helper logcumsumexp")
def cumulative(call: Call) -> None:
    """Follow running sums and the like: the order along their axis matters."""
    dimensions = call.inputs[0].dimensions
    fix(dimensions[call.axis()], f"its order matters to {call.name}")
    for tensor in call.outputs():
        call.emit(dimensions, tensor)


@rule("triu tril")
def triangle(call: Call) -> None:
    """Follow the upper or lower triangle of the last two axes."""
    dimensions = call.inputs[0].dimensions
    for one in dimensions[-2:]:
        fix(one, f"its order matters to {call.name}")
    call.emit(dimensions)


@rule("_fft_c2c _fft_r2c _fft_c2r")
def fourier(call: Call) -> None:
    """Follow Fourier transforms: each entry along their axes depends on all and on their order."""
    dimensions = list(call.inputs[0].dimensions)
    for axis in {axis % len(dimensions) for axis in call["dim"]}:
        fix(dimensions[axis], "mixed by a Fourier transform")
        dimensions[axis] = fresh(call.output.shape[axis], "mixed by a Fourier transform")
    call.emit(dimensions)


@rule("view_as_real view_as_complex")
def complex_parts(call: Call) -> None:
    """Follow complex numbers seen as pairs of real ones in a last axis, or the other way round."""
    dimensions, parts = call.inputs[0].dimensions, "the parts of complex numbers"
    if call.name == "view_as_complex":
        fix(dimensions[-1], parts)
        call.emit(dimensions[:-1])
    else:
        call.emit([*dimensions, fresh(2, parts)])
