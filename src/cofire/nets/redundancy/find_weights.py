"""Find the weights of a model's layers, and say why other parameters are left out."""

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..layers.layer_names import clean, first_names, named_layers, unwrap
from ..layers.layer_weights import n_groups, unit_weights
from .readings import Reading, Readings, Seen, plain, tied, unusable


def read_model(model: nn.Module) -> Readings:
    """Return the incoming weights of a model's layers, each read as its layer uses it.

    Raises:
        ValueError: if a lazy layer has not been run yet, so that it has no weights.
    """
    model = unwrap(model)
    seen: Seen = {}
    left_out, found = {}, []
    for name, module in _layers(model).items():
        for part, weight in unit_weights(module).items():
            layer = ".".join(filter(None, (name, part)))
            reason = unusable(weight) or tied(seen, layer, weight.detach())
            if reason:
                left_out[layer] = reason
            else:
                found.append(Reading(layer, plain(weight), groups=n_groups(module)))
    used = {id(weight) for module in model.modules() for weight in _whole_weights(module)}
    others = {clean(name): tensor for name, tensor in model.named_parameters() if id(tensor) not in used}
    unread = {name: unusable(tensor) or "no layer that cofire knows reads it" for name, tensor in others.items()}
    return Readings(tuple(found), {**left_out, **unread})


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module once, without the module inside attention that only holds one of its projections."""
    layers = named_layers(model)
    lazy = [name for name, module in layers.items() if any(map(is_lazy, module.parameters(recurse=False)))]
    if lazy:
        raise ValueError(f"{lazy[0]!r} has no weights before it has run once; run the model on a batch first")
    first = first_names(layers)
    inside = {name for name in layers if isinstance(layers.get(name.rpartition(".")[0]), nn.MultiheadAttention)}
    return {name: module for name, module in layers.items() if first[name] == name and name not in inside - {""}}


def _whole_weights(module: nn.Module) -> list[Tensor]:
    """Return the parameters out of which :func:`~cofire.nets.layers.layer_weights.unit_weights` takes its weights."""
    named = module.named_parameters(recurse=isinstance(module, nn.MultiheadAttention)) if unit_weights(module) else ()
    return [tensor for name, tensor in named if tensor.ndim > 1 and "bias" not in name]
