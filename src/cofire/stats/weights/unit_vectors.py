"""The incoming weight vectors of a layer's units, read from the shapes in which torch stores weights."""

from numbers import Integral
from typing import Literal, TypeAlias, get_args

from torch import Tensor

from .._base.argument_checks import check_choice, check_count
from .._base.arrays import Array, as_tensor

Reading: TypeAlias = Literal["flattened", "per_input_channel"]
Fused: TypeAlias = Literal["rnn", "lstm", "gru", "attention"]

PARTS: dict[str, tuple[str, ...]] = {
    "rnn": ("hidden",),
    "lstm": ("input", "forget", "cell", "output"),
    "gru": ("reset", "update", "new"),
    "attention": ("query", "key", "value"),
}


def split_units(weight: Array, kind: Fused) -> dict[str, Tensor]:
    """Split the weights of a fused layer by gate or projection, each as a separate layer.

    Args:
        weight: as torch stores it, for example ``lstm.weight_ih_l0``, shape (4 * n_units, n_inputs), or
            ``attention.in_proj_weight``, shape (3 * n_units, n_inputs).
        kind: ``"rnn"``, ``"lstm"``, ``"gru"`` or ``"attention"``.

    Returns:
        Views of ``weight`` (with its gradients), shape (n_units, n_inputs), by the name of the part.

    Raises:
        ValueError: for another kind, or a first axis that does not divide into its parts.

    Example:
        >>> import torch
        >>> {gate: tuple(part.shape) for gate, part in split_units(torch.ones(15, 3), "gru").items()}
        {'reset': (5, 3), 'update': (5, 3), 'new': (5, 3)}
    """
    check_choice(kind, "kind", PARTS)
    names = PARTS[kind]
    tensor = _at_least_matrix(weight)
    if len(tensor) % len(names):
        raise ValueError(
            f"the {kind} weights of shape {tuple(tensor.shape)} do not divide into {len(names)} parts; "
            "pass the fused weight as torch stores it"
        )
    fused = weight if isinstance(weight, Tensor) else tensor
    return dict(zip(names, fused.chunk(len(names)), strict=True))


def unit_vectors(weight: Array, *, unit_axis: int, groups: int, reading: Reading) -> list[tuple[Tensor, int]]:
    """Return sets of incoming vectors, shape (n_units, fan_in), each with its number of groups.

    There is one set if kernels are read flattened, otherwise one per input channel. Units in different groups of a set
    share no input.
    """
    check_choice(reading, "reading", get_args(Reading))
    units = units_first(_at_least_matrix(weight), unit_axis, groups)
    if reading == "flattened":
        return [(units.flatten(1), groups)]
    if units[0, 0].numel() < 2:
        raise ValueError(
            f"'per_input_channel' compares kernels of at least two positions, got a weight of shape "
            f"{tuple(units.shape)}; use reading='flattened'"
        )
    # each channel reaches one group only: units of other groups have no kernel for it
    return [(kernel.flatten(1), 1) for part in units.chunk(groups) for kernel in part.unbind(1)]


def units_first(weight: Tensor, unit_axis: int, groups: int) -> Tensor:
    """Return the weight as (out, in / groups, ...); with ``unit_axis=1`` it is stored as (in, out / groups, ...)."""
    if isinstance(unit_axis, bool) or not isinstance(unit_axis, Integral) or unit_axis not in (0, 1):
        raise ValueError(f"unit_axis must be 0, or 1 for transposed convolutions and embeddings, got {unit_axis!r}")
    if len(weight) % check_count(groups, "groups"):
        raise ValueError(f"groups must divide the first axis of the weight, shape {tuple(weight.shape)}, got {groups}")
    if unit_axis == 0:
        return weight
    # (groups, in / groups, out / groups, ...) -> (groups, out / groups, in / groups, ...)
    by_group = weight.unflatten(0, (groups, len(weight) // groups)).transpose(1, 2)
    return by_group[0] if groups == 1 else by_group.flatten(0, 1)


def _at_least_matrix(weight: Array) -> Tensor:
    tensor = as_tensor(weight, "weight")
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise ValueError(
            f"weight must have shape (out, in, ...) with no empty axis, got {tuple(tensor.shape)}; "
            "biases and scales have no incoming vectors"
        )
    return tensor
