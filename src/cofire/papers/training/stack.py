"""`Stack`: networks of one architecture with stacked weights, so that each layer is one batched product."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .models import ACTIVATIONS, Dropout

ELEMENTWISE = tuple({type(make()) for make in ACTIVATIONS.values()})


class Stack:
    """Sequential networks of one architecture that run and learn together.

    The networks become views of the stacked weights: an optimizer's step on ``parameters`` changes them, so each can be
    probed, measured or saved as usual. Dropout draws from each network's own generator, and batch normalization sees
    each network's own batch, so a network computes what it would compute alone.

    Args:
        models: `nn.Sequential`s of one architecture, made of flattening, linear and dropout layers (`models.Dropout`),
            batch normalization and activation functions.

    Raises:
        ValueError: if there are no networks, they differ, or they have other layers.

    Example:
        >>> from cofire.papers.training.models import mlp
        >>> models = [mlp([4, 3, 2], seed=seed) for seed in range(5)]
        >>> stack = Stack(models)
        >>> x = torch.randn(5, 7, 4)  # seven samples for each network
        >>> torch.allclose(stack(x)[2], models[2](x[2]), atol=1e-6)
        True
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.models = list(models)
        _check(self.models)
        self.layers = [list(layers) for layers in zip(*(model.children() for model in self.models), strict=True)]
        self.names = [name for name, _ in self.models[0].named_children()]
        self._weights = [
            {name: _stacked([getattr(layer, name) for layer in layers]) for name in _owned(layers[0])}
            for layers in self.layers
        ]

    @property
    def parameters(self) -> list[Tensor]:
        """The stacked trainable weights, one network per row."""
        return [weight for weights in self._weights for weight in weights.values() if weight.requires_grad]

    def __call__(self, x: Tensor, *, keep: Iterable[str] = ()) -> Any:
        """Run all networks.

        Args:
            x: each network's own batch, shape (n_models, n_samples, ...).
            keep: names of layers whose outputs are returned too.

        Returns:
            The output, shape (n_models, n_samples, n_outputs); with ``keep``, a pair of it and the layers' outputs.
        """
        keep, kept = set(keep), {}
        for name, layers, weights in zip(self.names, self.layers, self._weights, strict=True):
            rule = _RULES.get(type(layers[0]))
            x = layers[0](x) if rule is None else rule(layers, weights, x)  # elementwise layers need no rule
            if name in keep:
                kept[name] = x
        return (x, kept) if keep else x

    def train(self, mode: bool = True) -> None:
        """Set training mode, or eval mode, of every network."""
        for model in self.models:
            model.train(mode)


def stackable(model: nn.Module) -> bool:
    """Return whether `Stack` accepts a network.

    Example:
        >>> stackable(nn.Sequential(nn.Linear(2, 2), nn.ReLU())), stackable(nn.Sequential(nn.Conv2d(1, 1, 3)))
        (True, False)
    """
    kinds = nn.Flatten, nn.Linear, nn.BatchNorm1d, Dropout, *ELEMENTWISE
    return isinstance(model, nn.Sequential) and all(isinstance(layer, kinds) for layer in model)


def _check(models: Sequence[nn.Module]) -> None:
    if not models:
        raise ValueError("a stack needs at least one network, got 0")
    if odd := [repr(model) for model in models if repr(model) != repr(models[0])]:
        raise ValueError(f"the networks of a stack must have one architecture, got {models[0]!r} and {odd[0]}")
    if not stackable(models[0]):
        raise ValueError(
            "a stack accepts nn.Sequential of flattening, linear, batch-norm, dropout and activation layers, "
            f"got {models[0]!r}"
        )


def _owned(layer: nn.Module) -> list[str]:
    """Return the names of a layer's own weights and running statistics; each layer keeps its count of batches."""
    buffers = [name for name, buffer in layer.named_buffers(recurse=False) if buffer.is_floating_point()]
    return [name for name, _ in layer.named_parameters(recurse=False)] + buffers


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Stack tensors and turn each into a view of the stack, which is trainable if they are parameters."""
    # Transposed, because the product that yields the gradient is: otherwise each step would copy the gradient.
    whole = torch.stack([part.detach().t() for part in parts])
    for part, view in zip(parts, whole, strict=True):
        part.data = view.t()
    return whole.requires_grad_(isinstance(parts[0], nn.Parameter))


def _linear(layers: Sequence[nn.Linear], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Multiply samples (n_models, n_samples, n_in) by weights (n_models, n_in, n_out)."""
    weight = weights["weight"]
    return torch.baddbmm(weights["bias"][:, None], x, weight) if "bias" in weights else torch.bmm(x, weight)


def _dropout(layers: Sequence[Dropout], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    if not layers[0].training or layers[0].p == 0:
        return x
    return x * torch.stack([layer.mask(x.shape[1:]) for layer in layers]).to(x.device)


def _batch_norm(layers: Sequence[nn.BatchNorm1d], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Normalize all networks in one call, with their units side by side as columns."""
    n_models, n_samples, n_units = x.shape
    columns = x.transpose(0, 1).reshape(n_samples, n_models * n_units)
    # Views, so that the running statistics are updated in place.
    flat = {name: weight.flatten() for name, weight in weights.items()}
    if layers[0].training:
        for layer in layers:
            layer.num_batches_tracked = layer.num_batches_tracked + 1  # type: ignore[operator]
    done = nn.functional.batch_norm(
        columns, **flat, training=layers[0].training, momentum=layers[0].momentum or 0.0, eps=layers[0].eps
    )
    return done.reshape(n_samples, n_models, n_units).transpose(0, 1)


_RULES: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Flatten: lambda layers, weights, x: x.flatten(2),
    nn.Linear: _linear,
    Dropout: _dropout,
    nn.BatchNorm1d: _batch_norm,
}
