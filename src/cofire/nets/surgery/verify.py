"""Try cuts: a smaller network must compute what the network does whose readers pass over the removed units."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..loading.batches import arguments
from ..loading.eval_mode import evaluating
from ..wiring.dimensions import Dimension
from ..wiring.fake_copy import random_states_kept
from .counts import shapes
from .cut_groups import Change, cut
from .output_change import numbers
from .refit import Plan, refitted

CODE_FIXES = "the code fixes this size: with fewer units, the network fails or computes something else"


def tried(
    net: nn.Module, dimensions: Mapping[str, tuple[Dimension, ...]], plans: Sequence[Plan], first: Any
) -> Change | None:
    """Cut a network in place by all plans; put it together again and return None if that does not work.

    With the removed units' weights at 0 in their readers, the whole network computes exactly what the smaller one
    should. Where a size is written in the code, the smaller one fails, or its tokens fall into other places.

    Args:
        net: the network.
        dimensions: of its parameters and buffers.
        plans: the cuts.
        first: a batch to run.
    """
    args, kwargs = arguments(net, first)
    weights, axes = refitted(net, plans), dict[str, int]()

    def look(path: str, module: Any, shape: torch.Size) -> None:
        axes[path] = next((axis for axis in (1, 0) if shape[axis : axis + 1] == (module.num_features,)), -1)

    def follow(path: str, module: Any, shape: torch.Size) -> None:
        axis = axes.get(path, -1)
        if axis >= 0 and shape[axis] != module.num_features:
            change.count(path, module, "num_features", shape[axis])

    with evaluating(net):
        # A model may sample, or change what it is given; both networks get the same numbers.
        with random_states_kept(net), _before_norms(net, look):
            expected = numbers(functional_call(net, weights, args, kwargs))
        args, kwargs = arguments(net, first)
        change = cut(net, dimensions, {plan.link.leaf: plan.kept.cpu() for plan in plans}, weights)
        try:
            with random_states_kept(net), _before_norms(net, follow):
                found = numbers(net(*args, **kwargs))
        except Exception:  # whatever the user's forward raises on a width it did not expect
            found = []
    if found and len(found) == len(expected) and all(map(_equal, found, expected)):
        return change
    change.take_back()
    return None


@contextmanager
def _before_norms(net: nn.Module, do: Callable[[str, nn.Module, torch.Size], None]) -> Iterator[None]:
    """Before each normalization that counts its features but has no tensors, do something with its input's shape."""
    with ExitStack() as stack:
        for path, module in net.named_modules():
            if "num_features" in vars(module) and not shapes(module):
                hook = lambda module, args, path=path: do(path, module, args[0].shape)  # noqa: E731
                stack.enter_context(module.register_forward_pre_hook(hook))
        yield


def verified(
    net: nn.Module, dimensions: Mapping[str, tuple[Dimension, ...]], plans: Sequence[Plan], first: Any
) -> list[Plan]:
    """Return the plans that can be carried out together; those that the code prevents are left out."""
    good: list[Plan] = []

    def add(more: Sequence[Plan]) -> None:
        change = tried(net, dimensions, [*good, *more], first) if more else None
        if change:
            change.take_back()
            good.extend(more)
        elif len(more) > 1:
            add(more[: len(more) // 2])
            add(more[len(more) // 2 :])

    add(plans)
    return good


def _equal(found: Tensor, expected: Tensor) -> bool:
    """Return whether two outputs differ by rounding only."""
    if found.shape != expected.shape or not torch.equal(found.isfinite(), expected.isfinite()):
        return False
    finite = expected.isfinite()
    a, b = found[finite].double(), expected[finite].double()
    if not a.numel():
        return True
    eps = torch.finfo(expected.dtype).eps
    allowed = eps**0.5 * b.std(correction=0) + 64 * eps * b.abs().max()
    return bool((a - b).square().mean().sqrt() <= allowed)
