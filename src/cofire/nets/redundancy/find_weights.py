"""Find the weights of a model's layers, and say why other parameters are left out."""

from collections.abc import Iterable
from dataclasses import replace

from torch import nn
from torch.nn.parameter import is_lazy

from ..layer_names import clean, named_layers, takes_hooks, unwrap
from ..layers.layer_weights import UnitWeight, known_layers, unit_weights
from ..layers.quantized import stored_as
from ..layers.sites import never_seen
from ..tensor_kinds import unusable
from ..wiring.live_wiring import live_wiring
from ..wiring.wired_layers import Layer
from .parameter_names import n_biases
from .readings import Reading, Readings, plain

UNREAD = "makes no units in the pass that was followed"
NOT_RUN = "not known to make units by its module's type, and the model has not run"


def read_model(model: nn.Module, layers: Iterable[Layer] | None = None) -> Readings:
    """Return the incoming weights of a model's layers, each read as the model uses it.

    Args:
        model: the model.
        layers: as its wiring gives them; by default what is known of it so far.

    Raises:
        ValueError: if a lazy layer has not been run yet, so that it has no weights.
    """
    model = unwrap(model)
    lazy = [name for name, tensor in model.named_parameters() if is_lazy(tensor)]
    if lazy:
        raise ValueError(f"{lazy[0]!r} has no values before it has run once; run the model on a batch first")
    layers = list(known_layers(model) if layers is None else layers)
    weights, left_out = unit_weights(model, layers)
    found = [_reading(one, model) for one in weights]
    used = {clean(name) for layer in layers for name in layer.parameters}
    ran, modules = bool(live_wiring(model).layers), named_layers(model)
    others = {clean(name): tensor for name, tensor in model.named_parameters() if clean(name) not in used}
    for name, tensor in others.items():
        owner = modules.get(name.rpartition(".")[0], model)
        unread = UNREAD if ran else NOT_RUN if takes_hooks(owner) else f"in {never_seen(owner)}"
        left_out[name] = unusable(tensor) or unread
    return Readings(tuple(found), left_out)


def _reading(one: UnitWeight, model: nn.Module) -> Reading:
    weight, module = one.read(model), model.get_submodule(one.owner)
    beside = dict(module.named_parameters(recurse=False))
    whole = weight if one.stop is None else replace(one, stop=None, start=0).read(model)
    biases = n_biases(one.attribute, whole, weight, beside)
    return Reading(one.name, plain(weight), groups=one.blocks, notes=_notes(one, model), n_biases=biases)


def _notes(weight: UnitWeight, model: nn.Module) -> tuple[str, ...]:
    stored = dict(model.named_parameters(remove_duplicate=False)).get(weight.layer.parameter)
    kind = None if stored is None else stored_as(stored)
    notes = [] if kind is None else [f"stored as {kind}, read as the numbers that it stands for"]
    if weight.layer.assumed:
        notes.append(f"read by its type, as {weight.layer.assumed.removeprefix('assumed: ')}")
    return tuple(notes)
