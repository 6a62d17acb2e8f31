"""Plans: what makes a fresh model of the old size fit the state dict of the smaller one."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeVar

from torch import nn

from ..layer_names import named_layers, unwrap
from ..surgery.counts import is_no_larger, like
from ..surgery.cut_groups import Change, named_tensors, replace
from .shrunk import GroupCut

VERSION = 1
M = TypeVar("M", bound=nn.Module)


def plan_of(
    model: nn.Module, smaller: nn.Module, cuts: Mapping[str, GroupCut], counts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the plan that leads from a model to a smaller one, as JSON."""
    before = {name: list(one.shape) for name, one in named_tensors(model).items()}
    after = {name: list(one.shape) for name, one in named_tensors(smaller).items()}
    return {
        "cofire_plan": VERSION,
        "groups": {
            name: {
                "layers": list(cut.layers),
                "units": cut.n_units,
                "kept": list(cut.kept),
                "predicted_error": cut.predicted if isfinite(cut.predicted) else None,
            }
            for name, cut in cuts.items()
        },
        "shapes": {name: shape for name, shape in after.items() if shape != before[name]},
        "counts": {name: list(value) if isinstance(value, tuple) else value for name, value in counts.items()},
    }


def apply_plan(model: M, plan: Mapping[str, Any]) -> M:
    """Make a fresh model fit the state dict of a smaller one; then load that as usual.

    Args:
        model: the model as its own code makes it; changed in place. Its weights are cut, not refitted: load the state
            dict of the smaller model afterwards.
        plan: the ``plan`` of a :class:`Shrunk`, or the contents of ``plan.json``.

    Returns:
        The model.

    Raises:
        ValueError: if the plan is none, or was made for another model.

    Example:
        >>> from cofire.nets.shrinking import shrink
        >>> import torch
        >>> make = lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> smaller = shrink(make(), torch.randn(300, 4), keep=0.5)
        >>> _ = apply_plan(fresh := make(), smaller.plan).load_state_dict(smaller.model.state_dict())
        >>> fresh[0]
        Linear(in_features=4, out_features=7, bias=True)
    """
    if not isinstance(plan, Mapping) or plan.get("cofire_plan") != VERSION:
        raise ValueError(f"this is no plan of version {VERSION} that shrink wrote; pass the contents of plan.json")
    shapes, counts = plan.get("shapes"), plan.get("counts")
    if not isinstance(shapes, Mapping) or not isinstance(counts, Mapping):
        raise ValueError("the plan is damaged: it lacks the table of shapes or that of counts")
    net = unwrap(model)
    tensors, modules = named_tensors(net), named_layers(net)
    smaller = {}
    for name, shape in shapes.items():
        old = tensors.get(name)
        if old is None or not is_no_larger(shape, old.shape):
            got = "no tensor of that name" if old is None else f"shape {tuple(old.shape)}"
            raise ValueError(f"the plan is for another model: it cuts {name} to {shape}, the model has {got}")
        smaller[name] = old.detach()[tuple(slice(size) for size in shape)]
    checked = [_count(modules, key, value) for key, value in counts.items()]
    replace(net, smaller, Change())
    for module, name, value in checked:
        setattr(module, name, value)
    return model


def _count(modules: Mapping[str, nn.Module], key: str, value: Any) -> tuple[nn.Module, str, Any]:
    """Return the module, the name and the new value of a number; the old one must be a number that is no smaller."""
    path, _, name = key.rpartition(".")
    old = vars(modules[path]).get(name) if path in modules else None
    if not is_no_larger(value, old):
        raise ValueError(f"the plan is for another model: it sets {key} to {value!r}, the model has {old!r}")
    return modules[path], name, like(old, value)
