"""What is assumed of torch's own layers where a model cannot be followed: a table of types, read last of all."""

from collections.abc import Sequence

from torch import nn
from torch.nn.parameter import is_lazy

from ..layer_names import named_layers
from .places import Place
from .structure import QKV, Layer, WeightLayout, Wiring, equal_parts, gates_of, short_name

# Types, the axis of the units in the output counted from the end, and in the weight.
TYPES: tuple[tuple[tuple[type[nn.Module], ...], int, int], ...] = (
    ((nn.Linear, nn.Bilinear), -1, 0),
    ((nn.Embedding, nn.EmbeddingBag), -1, 1),
    ((nn.ConvTranspose1d,), -2, 1),
    ((nn.ConvTranspose2d,), -3, 1),
    ((nn.ConvTranspose3d,), -4, 1),
    ((nn.Conv1d,), -2, 0),
    ((nn.Conv2d,), -3, 0),
    ((nn.Conv3d,), -4, 0),
    ((nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention), -1, 0),
)


def assumed_place(module: nn.Module, reason: str) -> Place:
    """Return where a module's output shows units by its type; the reason is why nothing better is known."""
    found = next((axis for types, axis, _ in TYPES if isinstance(module, types)), None)
    return Place(found, "" if found is not None else reason)


def assumed_wiring(model: nn.Module, reason: str) -> Wiring:
    """Return the layers of a model by the types of its modules; each says under ``assumed`` why.

    Nothing is known of groups, of activation functions behind the layers, or of which layer is the output.
    """
    layers = []
    for name, module in named_layers(model).items():
        row = next((row for row in TYPES if isinstance(module, row[0])), None)
        for parameter, weight in module.named_parameters(recurse=False) if row else ():
            if row and "weight" in parameter and not is_lazy(weight) and weight.dim() > 1:
                layers.append(_layer(name, module, parameter, row[1], row[2], f"assumed: {reason}"))
    places = {name: (assumed_place(module, reason),) for name, module in named_layers(model).items()}
    return Wiring(tuple(layers), (), {}, {}, {}, {True: places, False: places}, (f"assumed: {reason}",))


def _layer(name: str, module: nn.Module, parameter: str, unit_axis: int, weight_axis: int, reason: str) -> Layer:
    weight = getattr(module, parameter)
    groups = getattr(module, "groups", 1)
    transposed = weight_axis == 1 and groups > 1
    units = weight.shape[weight_axis] * (groups if transposed else 1)
    names = () if "hr" in parameter else gates_of(type(module))  # an LSTM's projection has no gates
    names = QKV if parameter == "in_proj_weight" else names
    full = f"{name}.{parameter}" if name else parameter
    return Layer(
        name=name if parameter == "weight" and name else short_name(full),
        parameter=full,
        module=name,
        units=units // (len(names) or 1),
        unit_axis=unit_axis,
        weight_axis=weight_axis,
        inputs=0 if isinstance(module, nn.Embedding | nn.EmbeddingBag) else weight.shape[1 - weight_axis],
        kind=type(module).__name__,
        is_output=False,
        calls=0,
        group=(),
        parameters=frozenset([full]),
        layout=None
        if transposed
        else _layout(weight.shape, weight_axis, groups, equal_parts(names, units) if names else ()),
        assumed=reason,
    )


def _layout(shape: Sequence[int], axis: int, blocks: int, parts: tuple[tuple[str, int, int], ...]) -> WeightLayout:
    rest = [one for one in range(len(shape)) if one != axis]
    return WeightLayout(tuple(shape), (axis, *rest), tuple(shape[one] for one in rest), blocks, parts)
