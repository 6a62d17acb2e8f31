"""How far a network's outputs move when it is cut, predicted before and measured after."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...stats._base.wording import with_article
from ..loading.batches import arguments, as_batches, forward
from ..loading.eval_mode import evaluating
from ..tensors_in import look_into
from .cut_groups import named_tensors
from .output_errors import ErrorSums, OutputError, combined


def predicted_error(net: nn.Module, weights: Mapping[str, Tensor], batches: Iterable[Any]) -> OutputError | None:
    """Return how far the outputs move to first order by new weights; None if torch cannot derive it.

    A cut changes only the weights of the layers that take the units in, and those of removed units become 0. So the
    change is one direction in weight space, and a single forward-mode derivative along it suffices. It is exact if the
    outputs are linear in these weights.
    """
    if not weights:
        return OutputError(0.0, 0.0)
    tensors = named_tensors(net)
    here = {name: tensors[name].detach() for name in weights}
    direction = {name: weight - here[name] for name, weight in weights.items()}
    sums: list[ErrorSums] = []
    try:
        with evaluating(net):
            for batch in batches:

                def outputs(weights: dict[str, Tensor], batch: Any = batch) -> list[Tensor]:
                    args, kwargs = arguments(net, batch)
                    return numbers(functional_call(net, weights, args, kwargs))

                # Fused attention has no forward derivative; torch warns about itself when it first loads derivatives.
                with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
                    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
                    moved = jvp(outputs, (here,), (direction,))
                _add(sums, moved[1], moved[0])
    except (NotImplementedError, RuntimeError):  # the network ran before: some operation or function can't be derived
        return None
    return combined(sums)


def output_error(model: nn.Module, other: nn.Module, data: Any) -> OutputError:
    """Measure how far the outputs of another network are from those of a model, in eval mode.

    Args:
        model: the network to compare with; the standard deviation of its outputs is the scale.
        other: the network to compare, such as the model of a :class:`Surgery`.
        data: inputs, as for :func:`fold`.

    Returns:
        The error over all outputs that are real numbers, in whatever tuples or dicts they are returned. The last axis
        is taken as that of the units.

    Raises:
        ValueError: for data that cannot be used, outputs of different shapes, or outputs without real numbers.

    Example:
        >>> import torch
        >>> model, other = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> _ = other.load_state_dict({"weight": model.weight, "bias": model.bias + 0.5})
        >>> round(output_error(model, other, torch.randn(100, 2)).rms, 6)
        0.5
    """
    *_, sums = [[], *summed_errors(model, other, data)]  # the last are those of all batches
    return combined(sums)


def summed_errors(model: nn.Module, other: nn.Module, data: Any) -> Iterator[list[ErrorSums]]:
    """Yield, after each batch, the errors of all outputs summed so far; arguments and errors as for `output_error`."""
    sums: list[ErrorSums] = []
    with evaluating(model), evaluating(other):
        for batch in as_batches(data):
            mine, theirs = shown(forward(model, batch)), numbers(forward(other, batch))
            if [one.shape for one in mine] != [one.shape for one in theirs]:
                raise ValueError("the two networks put out different shapes; compare networks of the same task")
            _add(sums, [b.double() - a.double() for a, b in zip(mine, theirs, strict=True)], mine)
            yield sums


def numbers(output: Any) -> list[Tensor]:
    """Return the real numbers that a model puts out, in whatever it returns them."""
    return [one for one in look_into(output, caches=False).tensors if one.is_floating_point()]


def shown(output: Any) -> list[Tensor]:
    """Return the real numbers that a model puts out.

    Raises:
        ValueError: if there are none.
    """
    if found := numbers(output):
        return found
    raise ValueError(
        f"the model returns {with_article(type(output).__name__)} in which no floating-point tensor can be found, so "
        "a smaller network can't be compared with it; let it return tensors, in any container or object"
    )


def _add(sums: list[ErrorSums], moved: Iterable[Tensor], outputs: list[Tensor]) -> None:
    sums.extend(ErrorSums() for _ in outputs[len(sums) :])
    for one, change, output in zip(sums, moved, outputs, strict=True):
        one.add(*(x.flatten(0, -2) if x.ndim > 1 else x.reshape(-1, 1) for x in (change, output)))
