"""Run data through a network for the moments of units where layers take them in, and for the errors of cuts."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from ...stats import Moments
from ...stats._base.wording import plural
from ..loading.batches import forward
from ..loading.eval_mode import evaluating
from ..torch_private import without_forward_hooks
from .cut_layers import feature_axis
from .links import Link
from .output_errors import ErrorSums, OutputError, combined

Hook = Callable[[nn.Module, tuple[Any, ...], Any], None]


@dataclass(frozen=True)
class Change:
    """The old weights of a layer minus the new ones, in the old shape."""

    weight: Tensor
    bias: Tensor | None


def moments_of(net: nn.Module, found: Iterable[Link], batches: Iterable[Any]) -> dict[str, Moments]:
    """Return the moments of the units of each link, as its consumers take them in; every position is a sample.

    Raises:
        ValueError: if there are fewer than two samples.
    """
    moments = {link.layer: Moments() for link in found}
    run(net, batches, {next(iter(link.consumers)): partial(_add_rows, link, moments) for link in found})
    for name, seen in moments.items():
        if seen.count < 2:
            raise ValueError(
                f"the units of {name!r} were seen in {plural(seen.count, 'sample')}; at least two are needed"
            )
    return moments


def output_errors(net: nn.Module, changes: Mapping[str, Change], batches: Iterable[Any]) -> dict[str, OutputError]:
    """Return how far each changed layer's output moves on the data by its own change alone.

    The change of the weights is applied to the layer's inputs. That gives the difference of the outputs without the
    cancellation of subtracting them.
    """
    sums = {name: ErrorSums() for name in changes}
    run(net, batches, {name: partial(_add_error, change, sums[name]) for name, change in changes.items()})
    return {name: combined([sums[name]]) for name in changes}


def run(net: nn.Module, batches: Iterable[Any], hooks: Mapping[str, Hook]) -> None:
    """Run a network over data in eval mode, with a forward hook on each of the layers named."""
    with evaluating(net), ExitStack() as stack:
        for name, hook in hooks.items():
            # A handle is a context manager that removes its hook.
            stack.enter_context(net.get_submodule(name).register_forward_hook(hook))
        for batch in batches:
            forward(net, batch)


def _add_rows(link: Link, moments: dict[str, Moments], module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    features = args[0].movedim(feature_axis(module), -1)  # type: ignore[arg-type]  # a consumer, see links
    rows = link.consumers[next(iter(link.consumers))].unit_rows(features)
    moments[link.layer] = moments[link.layer].update(rows)


def _add_error(change: Change, sums: ErrorSums, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    parameters = {"weight": change.weight} | ({} if change.bias is None else {"bias": change.bias})
    with without_forward_hooks(module):
        moved = functional_call(module, parameters, args)
    axis = feature_axis(module)  # type: ignore[arg-type]  # a consumer, see links
    sums.add(moved.movedim(axis, -1).flatten(0, -2), output.movedim(axis, -1).flatten(0, -2))
