"""`Stack`: networks of one shape as one, their weights stacked, so that each layer is one batched product."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .models import ACTIVATIONS, Dropout

ELEMENTWISE = tuple({type(make()) for make in ACTIVATIONS.values()})


class Stack:
    """Equal-shaped sequences of layers that run, and learn, at once.

    The networks that go in become views of the stacked weights: what an optimizer does to ``parameters`` happens to
    them, so each may be probed, measured or saved as ever. Dropout draws from each network's own generator, and batch
    normalization sees each network's own batch: a network does what it would do alone.

    Args:
        models: `nn.Sequential`s of one architecture, of flattening, linear and dropout layers (`zoo.Dropout`), batch
            normalization, and activation functions.

    Raises:
        ValueError: if there is none, they differ, or have other layers.

    Example:
        >>> from cofire.papers.training.models import mlp
        >>> models = [mlp([4, 3, 2], seed=seed) for seed in range(5)]
        >>> stack = Stack(models)
        >>> x = torch.randn(5, 7, 4)  # a batch of seven for each
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
        """The stacked weights that learn, one network a row."""
        return [weight for weights in self._weights for weight in weights.values() if weight.requires_grad]

    def __call__(self, x: Tensor, *, keep: Iterable[str] = ()) -> Any:
        """Run all networks.

        Args:
            x: shape (n_models, n_samples, ...), each network's own batch.
            keep: names of layers.

        Returns:
            The output, shape (n_models, n_samples, n_outputs); with ``keep``, that and the outputs of those layers.
        """
        keep, kept = set(keep), {}
        for name, layers, weights in zip(self.names, self.layers, self._weights, strict=True):
            x = _apply(layers, weights, x)
            if name in keep:
                kept[name] = x
        return (x, kept) if keep else x

    def train(self, mode: bool = True) -> None:
        """Put every network into training mode, or out of it."""
        for model in self.models:
            model.train(mode)


def stackable(model: nn.Module) -> bool:
    """Whether `Stack` takes such a network.

    Example:
        >>> stackable(nn.Sequential(nn.Linear(2, 2), nn.ReLU())), stackable(nn.Sequential(nn.Conv2d(1, 1, 3)))
        (True, False)
    """
    kinds = nn.Flatten, nn.Linear, nn.BatchNorm1d, Dropout, *ELEMENTWISE
    return isinstance(model, nn.Sequential) and all(isinstance(layer, kinds) for layer in model)


def _check(models: Sequence[nn.Module]) -> None:
    if not models:
        raise ValueError("a stack needs at least one network, got none")
    if odd := [repr(model) for model in models if repr(model) != repr(models[0])]:
        raise ValueError(f"the networks of a stack must be of one architecture, got {models[0]!r} and {odd[0]}")
    if not stackable(models[0]):
        raise ValueError(f"a stack takes sequences of linear layers and what stands between them, got {models[0]!r}")


def _owned(layer: nn.Module) -> list[str]:
    """The names of a layer's own weights and running statistics; a count of batches is kept by each layer itself."""
    buffers = [name for name, buffer in layer.named_buffers(recurse=False) if buffer.is_floating_point()]
    return [name for name, _ in layer.named_parameters(recurse=False)] + buffers


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """One tensor of all, which learns if they did; they become views of it.

    Matrices lie transposed, as the product that gives their gradient does: it need not be copied then.
    """
    whole = torch.stack([part.detach().t() for part in parts])
    for part, view in zip(parts, whole, strict=True):
        part.data = view.t()
    return whole.requires_grad_(isinstance(parts[0], nn.Parameter))


def _apply(layers: Sequence[Any], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    rule = _RULES.get(type(layers[0]))
    return layers[0](x) if rule is None else rule(layers, weights, x)


def _linear(layers: Sequence[nn.Linear], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Samples (n_models, n_samples, n_in) times weights (n_models, n_in, n_out)."""
    weight = weights["weight"]
    return torch.baddbmm(weights["bias"][:, None], x, weight) if "bias" in weights else torch.bmm(x, weight)


def _dropout(layers: Sequence[Dropout], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    if not layers[0].training or layers[0].p == 0:
        return x
    return x * torch.stack([layer.mask(x.shape[1:]) for layer in layers])


def _batch_norm(layers: Sequence[nn.BatchNorm1d], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The units of all networks side by side are the columns of one batch normalization."""
    n_models, n_samples, n_units = x.shape
    columns = x.transpose(0, 1).reshape(n_samples, n_models * n_units)
    flat = {name: weight.flatten() for name, weight in weights.items()}
    if layers[0].training:
        for layer in layers:
            layer.num_batches_tracked = layer.num_batches_tracked + 1  # type: ignore[operator]  # the zoo's layers count
    done = nn.functional.batch_norm(
        columns,
        flat["running_mean"],
        flat["running_var"],
        flat["weight"],
        flat["bias"],
        layers[0].training,
        layers[0].momentum or 0.0,
        layers[0].eps,
    )
    return done.reshape(n_samples, n_models, n_units).transpose(0, 1)


_RULES: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Flatten: lambda layers, weights, x: x.flatten(2),
    nn.Linear: _linear,
    Dropout: _dropout,
    nn.BatchNorm1d: _batch_norm,
}
