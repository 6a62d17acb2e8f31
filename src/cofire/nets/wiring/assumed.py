"""What is assumed of torch's own layers where a model cannot be followed: a table of types, read last of all."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..layer_names import distinct_layers
from .assumed_types import TYPES, assumed_axis
from .calls import computes_weight
from .places import Place
from .wired_layers import QKV, Layer, WeightLayout, Wiring, equal_parts, gates_of, short_name


def assumed_place(module: nn.Module, reason: str) -> Place:
    """Return where a module's output shows units by its type; the reason is why nothing better is known."""
    found = assumed_axis(module)
    return Place(found, "" if found is not None else reason)


def assumed_wiring(model: nn.Module, reason: str) -> Wiring:
    """Return the layers of a model by the types of its modules; each says under ``assumed`` why.

    Nothing is known of groups, of activation functions behind the layers, or of which layer is the output.
    """
    layers = []
    for name, module in distinct_layers(model).items():
        for types, unit_axis, weight_axis in TYPES:
            if isinstance(module, types) and not computes_weight(name):
                made = (
                    _layer(name, module, *one, unit_axis, weight_axis, f"assumed: {reason}") for one in _weights(module)
                )
                layers.extend(made)
                break
    places = {name: (assumed_place(module, reason),) for name, module in distinct_layers(model).items()}
    return Wiring(tuple(layers), (), {}, {}, {}, {True: places, False: places}, (f"assumed: {reason}",))


def _weights(module: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    """Yield the names that a module uses its weights by, and what they are stored as, also where a wrapper keeps it."""
    for name, value in {**dict(module.named_parameters(recurse=False)), **vars(module)}.items():
        if "weight" in name and isinstance(value, Tensor) and not is_lazy(value) and value.dim() > 1:
            yield name.removesuffix("_orig"), name, value
    for name, made in getattr(module, "parametrizations", {}).items():
        stored = [(key, one) for key, one in made.named_parameters() if one.dim() > 1]
        if "weight" in name and stored:
            key, value = max(stored, key=lambda one: one[1].numel())
            yield name, f"parametrizations.{name}.{key}", value


def _layer(
    name: str,
    module: nn.Module,
    used: str,
    parameter: str,
    weight: Tensor,
    unit_axis: int,
    weight_axis: int,
    reason: str,
) -> Layer:
    groups = getattr(module, "groups", 1)
    transposed = weight_axis == 1 and groups > 1
    units = weight.shape[weight_axis] * (groups if transposed else 1)
    names = () if "hr" in used else gates_of(type(module))  # an LSTM's projection has no gates
    names = QKV if used == "in_proj_weight" else names
    full = f"{name}.{parameter}" if name else parameter
    return Layer(
        name=name if used == "weight" and name else short_name(f"{name}.{used}" if name else used),
        parameter=full,
        module=name,
        units=units // (len(names) or 1),
        unit_axis=unit_axis,
        weight_axis=weight_axis,
        inputs=_inputs(module, weight.shape, weight_axis),
        kind=type(module).__name__,
        is_output=False,
        calls=0,
        group=(),
        parameters=frozenset([full]),
        layout=_grouped_transposed(weight.shape, groups)
        if transposed
        else _layout(weight.shape, weight_axis, groups, equal_parts(names, units) if names else ()),
        assumed=reason,
    )


def _inputs(module: nn.Module, shape: Sequence[int], weight_axis: int) -> int:
    """Return how many inputs each unit has."""
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return 0
    if isinstance(module, nn.Bilinear):
        return shape[1] * shape[2]
    return shape[1 - weight_axis] // (getattr(module, "groups", 1) if weight_axis == 1 else 1)


def _grouped_transposed(shape: Sequence[int], groups: int) -> WeightLayout:
    """Return the layout of a transposed convolution's weight, whose groups lie along its inputs."""
    split = groups, shape[0] // groups, *shape[1:]
    return WeightLayout(split, (0, 2, 1, *range(3, len(split))), (split[1], *shape[2:]), groups, ())


def _layout(shape: Sequence[int], axis: int, blocks: int, parts: tuple[tuple[str, int, int], ...]) -> WeightLayout:
    rest = [one for one in range(len(shape)) if one != axis]
    return WeightLayout(tuple(shape), (axis, *rest), tuple(shape[one] for one in rest), blocks, parts)
