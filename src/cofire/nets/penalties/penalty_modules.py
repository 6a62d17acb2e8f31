"""Penalties as modules: made once for a model, added to the loss in any training loop."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..capturing.padding_masks import Mask
from ..layers.layer_names import named_layers
from ..layers.layer_weights import unit_weights, whole
from ..layers.sites import Stage, sites
from .activation_penalties import Scale, check, correlation_penalty, decov_penalty, vicreg_covariance_penalty
from .last_activations import Asked, Watch
from .penalty import Penalty
from .weight_penalty import weight_correlation_penalty

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class ActivationPenalty(Penalty):
    """A penalty on activations: those of a model's last forward pass, or given ones.

    The model is only watched: hooks see its layers, and nothing of it changes. The penalty is about its last
    forward pass; what ran before that is forgotten. While the penalty is open, compiled models run uncompiled;
    to stay compiled, return the activations from ``forward`` and give them to the penalty.

    Args:
        model: the network; None if activations are given at each call.
        pattern: the layers, as for ``cofire.sites``. A layer and the activation module behind it count once.
        weight: as for `Penalty`.
        stage: "post" (after the activation function) or "pre".
        mask: which samples count, as for ``cofire.capture``.
        synchronize: statistics over the batches of all processes, or of those of a process group.

    Raises:
        ValueError: if a pattern matches nothing.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        pattern: Asked = "*",
        *,
        weight: float | Callable[[int], float] = 1.0,
        stage: Stage = "post",
        mask: Mask | None = None,
        synchronize: "bool | ProcessGroup" = False,
    ) -> None:
        super().__init__(weight=weight)
        self.synchronize = synchronize
        self._watch = None if model is None else Watch(model, pattern, stage=stage, mask=mask)

    @abstractmethod
    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """The unweighted penalty of one layer's activations."""

    def forward(self, *activations: Tensor, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """The weighted penalty, summed over layers.

        Args:
            activations: one tensor a layer; if there is none, those of the model's last forward pass.
            unit_axis: of the given activations; 1 for convolutions.
            mask: of the given activations, True is keep.

        Raises:
            RuntimeError: if there is neither, or the penalty is closed.
        """
        if activations:
            return self._weighted(
                {str(i): self.of(x, unit_axis=unit_axis, mask=mask) for i, x in enumerate(activations)}
            )
        if self._watch is None:
            raise RuntimeError("this penalty has no model to watch; make it with one, or call it with activations")
        return self._weighted({site: self.of(x) for site, x in self._watch.rows().items()})

    def close(self) -> None:
        """Take every hook off the model and let the activations go."""
        if self._watch is not None:
            self._watch.close()


class CorrelationPenalty(ActivationPenalty):
    """Half the sum of squared correlations of each unit with all, averaged over units: `correlation_penalty`.

    Args:
        model: the network; this and the further arguments are those of `ActivationPenalty`.
        pattern: the layers.
        weight: a number, or a function of the step; the paper takes 0.1.
        stage: "post" or "pre".
        mask: which samples count.
        debiased: take off what noise adds.
        scale: "mean", or "per_sample" as the code of the paper's author has it.
        top: the share of pairs that count, the strongest first.
        synchronize: statistics over all processes.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
        >>> penalty = CorrelationPenalty(model, "0", weight=0.1)
        >>> x, y = torch.randn(32, 8), torch.randint(3, (32,))
        >>> loss = nn.functional.cross_entropy(model(x), y) + penalty()
        >>> loss.backward()
        >>> list(penalty.values), penalty.n_steps
        (['0'], 1)
        >>> penalty.close()
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        pattern: Asked = "*",
        *,
        weight: float | Callable[[int], float] = 1.0,
        stage: Stage = "post",
        mask: Mask | None = None,
        debiased: bool = False,
        scale: Scale = "mean",
        top: float = 1.0,
        synchronize: "bool | ProcessGroup" = False,
    ) -> None:
        check(scale, top)
        super().__init__(model, pattern, weight=weight, stage=stage, mask=mask, synchronize=synchronize)
        self.debiased, self.top = debiased, top
        self.scale: Scale = scale

    def extra_repr(self) -> str:
        """The settings, for ``repr``."""
        return f"{super().extra_repr()}, debiased={self.debiased}, scale={self.scale!r}, top={self.top}"

    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """As `correlation_penalty`."""
        return correlation_penalty(
            x,
            unit_axis=unit_axis,
            mask=mask,
            debiased=self.debiased,
            scale=self.scale,
            top=self.top,
            synchronize=self.synchronize,
        )


class DeCovPenalty(ActivationPenalty):
    """Half the sum of squared covariances between units: `decov_penalty`; arguments of `ActivationPenalty`.

    Example:
        >>> DeCovPenalty(weight=0.5)(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
        tensor(2.)
    """

    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """As `decov_penalty`."""
        return decov_penalty(x, unit_axis=unit_axis, mask=mask, synchronize=self.synchronize)


class VICRegCovariancePenalty(ActivationPenalty):
    """The covariance term of VICReg: `vicreg_covariance_penalty`; arguments of `ActivationPenalty`.

    Example:
        >>> VICRegCovariancePenalty()(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
        tensor(16.)
    """

    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """As `vicreg_covariance_penalty`."""
        return vicreg_covariance_penalty(x, unit_axis=unit_axis, mask=mask, synchronize=self.synchronize)


class WeightCorrelationPenalty(Penalty):
    """Mean magnitude of the cosine between units' incoming weights, summed over layers: `weight_correlation_penalty`.

    A layer with several weights (the gates of a recurrent layer, the projections of attention) counts once, with
    their mean. Weights are read anew at each call; the model carries no hook.

    Args:
        model: the network; None if weights are given at each call.
        pattern: the layers, as for ``cofire.sites``.
        weight: as for `Penalty`.

    Raises:
        ValueError: if a pattern matches no layer with weights.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
        >>> penalty = WeightCorrelationPenalty(model, weight=0.01)
        >>> penalty().requires_grad, list(penalty.values)
        (True, ['0', '2'])
    """

    def __init__(
        self, model: nn.Module | None = None, pattern: Asked = "*", *, weight: float | Callable[[int], float] = 1.0
    ) -> None:
        super().__init__(weight=weight)
        # not as attributes of their own, or they would be submodules
        self._layers = {} if model is None else dict(_with_weights(model, pattern))
        if model is not None and not self._layers:
            raise ValueError(f"no layer of the model at {pattern!r} has weights of several units")

    def forward(self, *weights: Tensor) -> Tensor:
        """The weighted penalty, summed over layers.

        Args:
            weights: one tensor a layer, units first; if there is none, those of the model.

        Raises:
            RuntimeError: if there is neither.
        """
        if weights:
            return self._weighted({str(i): weight_correlation_penalty(one) for i, one in enumerate(weights)})
        if not self._layers:
            raise RuntimeError("this penalty has no model; make it with one, or call it with weights")
        return self._weighted({name: _of_layer(layer) for name, layer in self._layers.items()})

    def close(self) -> None:
        """Let go of the model."""
        self._layers = {}


def _with_weights(model: nn.Module, pattern: Asked) -> Iterator[tuple[str, nn.Module]]:
    layers = named_layers(model)
    for name in dict.fromkeys(site.layer for site in sites(model, pattern)):
        if unit_weights(layers[name]):
            yield name, layers[name]


def _of_layer(layer: Any) -> Tensor:
    groups = getattr(layer, "groups", 1)
    terms = [weight_correlation_penalty(whole(weight), groups=groups) for weight in unit_weights(layer).values()]
    return torch.stack(terms).mean()
