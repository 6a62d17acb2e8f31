"""The effect of each step of a traced network on the units that pass through it.

To teach cofire an operation that keeps units apart, add it to one of the tables.
"""

from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn
from torch.fx.node import map_arg
from torch.nn.modules import activation, dropout, pooling

from ...stats._base.wording import with_article
from ..capturing.activation_functions import ACTIVATIONS, MIXING
from ..capturing.written_out import names


@dataclass(frozen=True)
class Place:
    """The place of units in a tensor.

    Attributes:
        positions: axes of positions behind the axis of the units.
        flattened: "" if not, "units first" behind flattened channels, "units last" behind flattened tokens.
    """

    positions: int
    flattened: str = ""


ELEMENTWISE = (ACTIVATIONS - MIXING) | names("""
    dropout alpha_dropout feature_alpha_dropout dropout1d dropout2d dropout3d
    contiguous clone detach to float half bfloat16 double
    add sub mul truediv div neg pow abs exp log square sqrt erf sign iadd isub imul itruediv
""")
POOLING = {f"{kind}_pool{d}d": d for d in (1, 2, 3) for kind in ("max", "avg", "adaptive_avg", "adaptive_max", "lp")}
REDUCTIONS = names("mean sum amax amin")
READS = names("dtype device ndim")

_MIXING_MODULES = (nn.Softmax, nn.Softmax2d, nn.Softmin, nn.LogSoftmax, nn.GLU, nn.MultiheadAttention, nn.PReLU)
ELEMENTWISE_MODULES = (
    *(kind for name in activation.__all__ if (kind := getattr(nn, name)) not in _MIXING_MODULES),
    *(getattr(nn, name) for name in dropout.__all__),
    nn.Identity,
)
POOLING_MODULES = {getattr(nn, name): int(name[-2]) for name in pooling.__all__ if "Unpool" not in name}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def name_of(node: fx.Node) -> str:
    """Return the name of the function or method, without the underscore of in-place ones."""
    target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    return target.rstrip("_")


def joins_others(node: fx.Node, source: fx.Node) -> bool:
    """Return whether anything computed besides ``source`` enters the step, or it enters twice."""
    entering: list[fx.Node] = []
    map_arg((node.args, node.kwargs), entering.append)
    return entering != [source]


def through_module(module: nn.Module, place: Place) -> Place | str:
    """Return the place of units behind a module without parameters for each unit, or why they cannot be followed."""
    if type(module) in ELEMENTWISE_MODULES or isinstance(module, nn.PReLU):
        return place
    if type(module) in POOLING_MODULES:
        indices = getattr(module, "return_indices", False)
        return _pooled(place, POOLING_MODULES[type(module)], type(module).__name__, returns_indices=indices)
    if type(module) is nn.Flatten:
        return _flattened(place, module.start_dim, module.end_dim)
    return f"its units go through {with_article(type(module).__name__)}"


def through_function(node: fx.Node, source: fx.Node, place: Place) -> Place | str:
    """Return the place of units behind a function or method, or why they cannot be followed."""
    name = name_of(node)
    if name in ("view", "reshape"):
        sizes = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], tuple | list) else node.args[1:]
        if len(sizes) == 2 and _is_batch_size(sizes[0]) and sizes[1] == -1:
            return _flattened(place, 1, -1)
        return f"{name}() gives it a fixed shape; flatten(1) would follow its width"
    if joins_others(node, source):
        return f"its units are joined with others by {name}() (a residual stream, or several paths)"
    if name in ELEMENTWISE:
        return place
    if name in POOLING:
        return _pooled(place, POOLING[name], f"{name}()", returns_indices=node.kwargs.get("return_indices"))
    if name == "flatten":
        given = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | node.kwargs
        return _flattened(place, given.get("start_dim", 0), given.get("end_dim", -1))
    return _reduced(node, place) if name in REDUCTIONS else f"its units go through {name}()"


def only_reads(node: fx.Node, place: Place) -> bool:
    """Return whether a step reads only the tensor's type or shape, and not its number of units."""
    if node.op not in ("call_function", "call_method"):
        return False
    name = name_of(node)
    if name == "getattr":
        shape = str(node.args[1]) == "shape" and all(_reads_size(user, place) for user in node.users)
        return shape or str(node.args[1]) in READS
    if name == "size" and len(node.args) == 1 and not node.kwargs:
        return all(_reads_size(user, place) for user in node.users)
    return name == "dim" or (name == "size" and _reads_size(node, place))


def _reads_size(node: fx.Node, place: Place) -> bool:
    """Return whether a step reads an axis of the shape other than that of the units."""
    if not node.users:
        return True
    axis = node.args[1] if len(node.args) == 2 else node.kwargs.get("dim")
    behind = place.positions > 0 and not place.flattened
    allowed = {0, *range(2, 2 + place.positions), *range(-place.positions, 0)} if behind else {0}
    return name_of(node) in ("getitem", "size") and isinstance(axis, int) and axis in allowed


def _pooled(place: Place, axes: int, name: str, *, returns_indices: object) -> Place | str:
    if returns_indices:
        return f"its units go through {name} with indices"
    if place.flattened or place.positions != axes:
        return f"{name} pools over other axes than its units' positions"
    return place


def _flattened(place: Place, start: Any, end: Any) -> Place | str:
    if (start, end) != (1, -1):
        return f"it is flattened from axis {start} to {end}, not all but the batch"
    if place.flattened:
        return place
    return Place(0, "units first" if place.positions else "units last")


def _is_batch_size(entry: object) -> bool:
    if not isinstance(entry, fx.Node) or name_of(entry) not in ("size", "getitem"):
        return False
    return bool((entry.args[1] if len(entry.args) == 2 else entry.kwargs.get("dim")) == 0)


def _reduced(node: fx.Node, place: Place) -> Place | str:
    """Return the place of units behind a mean, sum or maximum over positions."""
    given = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | node.kwargs
    axes = given.get("dim")
    axes = [axes] if isinstance(axes, int) else list(axes) if isinstance(axes, tuple | list) else []
    inside = {*range(2, 2 + place.positions), *range(-place.positions, 0)}
    if place.flattened or not axes or not inside.issuperset(axes):
        return f"{name_of(node)}() goes over its units"
    return place if given.get("keepdim") else replace(place, positions=place.positions - len(axes))
