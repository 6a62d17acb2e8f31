"""Table of the axis on which each kind of module has its units. To teach cofire a layer, add it to ``KINDS``."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.modules import activation, pooling

from ...stats._base.wording import with_article
from ..torch_private import BatchNorm, Dropout, Loss

UnitAxis = Callable[[nn.Module, Tensor], int | None]


def _at(axis: int) -> UnitAxis:
    """Return a fixed axis; counted from the end, it holds for inputs without a batch as well."""
    return lambda module, output: axis


def _before_the_normalized(module: nn.Module, output: Tensor) -> int:
    return -len(module.normalized_shape)  # type: ignore[arg-type]  # LayerNorm and RMSNorm have it


def following(module: nn.Module, output: Tensor) -> None:
    """Leave the axis open: the units are where the layer before has them, on a convolution's channels or else last."""
    return


@dataclass(frozen=True)
class Kind:
    """A family of modules, and the axis of their output that holds the units."""

    name: str
    types: tuple[type[nn.Module], ...]
    unit_axis: UnitAxis

    @property
    def is_activation(self) -> bool:
        """Whether modules of this kind are activation functions."""
        return self.name == "activation"


ACTIVATION = Kind(
    "activation", tuple(getattr(nn, name) for name in activation.__all__ if name != "MultiheadAttention"), following
)

KINDS = (
    Kind("linear", (nn.Linear, nn.Bilinear), _at(-1)),
    Kind("convolution", (nn.Conv1d, nn.ConvTranspose1d, nn.LazyConv1d, nn.LazyConvTranspose1d), _at(-2)),
    Kind("convolution", (nn.Conv2d, nn.ConvTranspose2d, nn.LazyConv2d, nn.LazyConvTranspose2d), _at(-3)),
    Kind("convolution", (nn.Conv3d, nn.ConvTranspose3d, nn.LazyConv3d, nn.LazyConvTranspose3d), _at(-4)),
    Kind("recurrent", (nn.RNNBase, nn.RNNCellBase), _at(-1)),
    Kind("attention", (nn.MultiheadAttention,), _at(-1)),
    Kind("transformer", (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer), _at(-1)),
    Kind("embedding", (nn.Embedding, nn.EmbeddingBag), _at(-1)),
    Kind("normalization", (nn.LayerNorm, nn.RMSNorm), _before_the_normalized),
    Kind("normalization", (nn.InstanceNorm1d,), _at(-2)),
    Kind("normalization", (nn.InstanceNorm2d,), _at(-3)),
    Kind("normalization", (nn.InstanceNorm3d,), _at(-4)),
    Kind("normalization", (BatchNorm, nn.GroupNorm, nn.LocalResponseNorm), _at(1)),
    ACTIVATION,
)

CUSTOM = Kind("module", (nn.Module,), following)
"""Any other module, measured if it is a leaf with weights or is asked for by name."""


_NEVER_CALLED = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)

_WITHOUT_UNITS = (
    ((Dropout,), "dropout"),
    (tuple(getattr(nn, name) for name in pooling.__all__), "pooling"),
    ((Loss,), "a loss"),
    (_NEVER_CALLED, "a list of modules or parameters, never called"),
)

_NO_ACTIVATION = ("drop", "norm", "noise", "pool", "identity", "flatten", "permute", "transpose", "reshape", "loss")
"""Words in the class name of a module without weights which say that it is not an activation function."""


def kind_of(module: nn.Module) -> Kind | str:
    """Return the kind of a module, or why it is left out unless asked for by name.

    Example:
        >>> kind_of(nn.Linear(2, 3)).name, kind_of(nn.Dropout())
        ('linear', 'dropout')
    """
    if isinstance(module, ScriptModule):
        return "TorchScript, in which hooks do not run; capture the module it was scripted from"
    for kind in KINDS:
        if isinstance(module, kind.types):
            return kind
    for types, reason in _WITHOUT_UNITS:
        if isinstance(module, types):
            return reason
    name = type(module).__name__
    if type(module).forward is nn.Module.forward:
        return f"{name} has no forward"
    if next(module.children(), None) is not None:
        return "holds other modules; ask for it by its name to measure its output"
    if type(module).__module__.startswith("torch.nn."):
        return f"{name} has no units of its own"
    if next(module.parameters(), None) is not None:
        return CUSTOM
    return ACTIVATION if looks_like_activation(module) else f"{name} has no weights"


def with_units(name: str, module: nn.Module) -> bool:
    """Match all layers with units of their own, which activation functions and normalizations do not have.

    Their outputs belong to the layer before them, whose site is behind its activation function already.

    Example:
        >>> with_units("0", nn.Linear(2, 3)), with_units("1", nn.BatchNorm1d(3))
        (True, False)
    """
    kind = kind_of(module)
    return isinstance(kind, Kind) and kind is not ACTIVATION and kind.name != "normalization"


def looks_like_activation(module: nn.Module) -> bool:
    """Return whether a user's module looks like an activation function: no weights, no children, no telling name."""
    if isinstance(module, ScriptModule) or type(module).__module__.startswith("torch."):
        return False
    if any(True for kept in (module.parameters(), module.buffers(), module.children()) for _ in kept):
        return False
    return not any(word in type(module).__name__.lower() for word in _NO_ACTIVATION)


def captured_as(module: nn.Module) -> Kind:
    """Return the kind under which a module that was asked for is measured.

    Raises:
        ValueError: for TorchScript, and for lists of modules, which are never called.
    """
    kind = kind_of(module)
    if isinstance(module, (ScriptModule, *_NEVER_CALLED)):
        raise ValueError(f"cannot capture {with_article(type(module).__name__)}: it is {kind}")
    return kind if isinstance(kind, Kind) else CUSTOM
