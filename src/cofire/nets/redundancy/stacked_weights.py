"""Weights of three dimensions that stack many matrices: experts, and relations of a graph."""

from torch import Tensor

from .file_layout import FileLayout
from .parameter_names import bias_of, is_fused, layer_of
from .readings import Reading

_EXPERTS = ("expert", "moe")
_READS_STREAM = ("gate_up", "up", "gate", "w1", "w3", "wi", "fc1", "in")
_WRITES_STREAM = ("down", "w2", "wo", "fc2", "out")
_WIDTH = ("hidden_size", "d_model", "n_embd", "dim")


def is_stack(name: str, layout: FileLayout) -> bool:
    """Return whether a weight stacks matrices by its name or its bias: one-dimensional convolutions look alike."""
    tensor = layout.weights[name]
    if tensor.ndim != 3 or name.endswith("conv.weight"):
        return False
    if any(word in name.lower() for word in _EXPERTS):
        return True
    bias = bias_of(name, layout.weights)
    if bias is None:
        return False
    n_stacked, first, second = tensor.shape
    of_each = bias.ndim == 2 and len(bias) == n_stacked and bias.shape[1] in (first, second)
    return of_each or (bias.ndim == 1 and len(bias) == second and second not in (n_stacked, first))


def read_stack(name: str, layout: FileLayout) -> list[Reading] | str:
    """Return a stack of matrices as one layer in groups, which share no units; or that its axes can't be told."""
    tensor = layout.weights[name].detach()
    n_stacked = len(tensor)
    told = _inputs_first(name, layout)
    if told is None:
        return "a stack of matrices, which may be (inputs, units) or (units, inputs)"
    inputs_first, shown = told
    units = tensor.transpose(1, 2) if inputs_first else tensor
    order = "(inputs, units)" if inputs_first else "(units, inputs)"
    note = f"{n_stacked} matrices stored as {order} each, by {shown}; compared within each"
    fused = ("its gates and values are read as one layer",) if is_fused(name) else ()
    return [Reading(layer_of(name), _rows(units), groups=n_stacked, notes=(note, *fused))]


def _rows(stack: Tensor) -> Tensor:
    return stack.reshape(-1, stack.shape[2])


def _inputs_first(name: str, layout: FileLayout) -> tuple[bool, str] | None:
    """Return whether each matrix is (inputs, units), and what shows it; None if nothing does."""
    _, first, second = layout.weights[name].shape
    bias = bias_of(name, layout.weights)
    if first != second and bias is not None and bias.shape[-1] in (first, second):
        return int(bias.shape[-1]) == second, "its bias"
    width, shown = _stream(name, layout)
    last = layer_of(name).rpartition(".")[2].lower()
    if width is None or (first == width) == (second == width):
        return None
    if last.startswith(_READS_STREAM):
        return first == width, shown
    return (second == width, shown) if last.startswith(_WRITES_STREAM) else None


def _stream(name: str, layout: FileLayout) -> tuple[int | None, str]:
    """Return the width of the stream that experts read and write: of the configuration, else of their router."""
    for key in _WIDTH:
        if isinstance(layout.config.get(key), int):
            return layout.config[key], f"{key} in config.json"
    experts, block = len(layout.weights[name]), name.rpartition(".")[0].rpartition(".")[0]
    routers = {
        tensor.shape[1]
        for other, tensor in layout.weights.items()
        if tensor.ndim == 2
        and len(tensor) == experts
        and other.startswith(block)
        and ("gate" in other or "rout" in other)
    }
    return (routers.pop(), "the width of their router") if len(routers) == 1 else (None, "")
