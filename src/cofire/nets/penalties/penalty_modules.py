"""Penalties as modules, made once for a model and added to the loss in any training loop."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from ..capturing.first_pass import FirstPass
from ..capturing.padding_masks import Mask
from ..layer_names import unwrap
from ..layers.layer_weights import asked_weights, check_weights, known_layers
from ..layers.sites import Asked, Stage
from .activation_penalties import Scale, check, correlation_penalty, decov_penalty, vicreg_covariance_penalty
from .last_activations import Watch
from .penalty import Penalty
from .weight_penalty import weight_correlation_penalty

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class ActivationPenalty(Penalty):
    """A penalty on the activations of a model's last forward pass, or on given activations.

    Hooks watch the model's layers and change nothing. Each forward pass replaces the activations of the one before.
    While the penalty is open, compiled models run uncompiled; to keep a model compiled, return its activations from
    ``forward`` and pass them to the penalty.

    A model may own its penalty, and be copied and saved with it: a penalty that is copied or pickled together with the
    model watches that copy, from the copy's first call on. Copied alone it watches nothing.

    Args:
        model: the network; None if each call passes activations.
        pattern: the layers, as for ``cofire.nets.sites``. A layer and the activation module after it count once.
        weight: as for `Penalty`.
        stage: "post" (after the activation function) or "pre".
        mask: which samples count, as for ``cofire.capture``.
        synchronize: take statistics over the batches of all processes, or of those of a process group.

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
        """Return the unweighted penalty of one layer's activations."""

    def forward(self, *activations: Tensor, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """Return the weighted penalty, summed over layers.

        Args:
            activations: one tensor for each layer; without any, those of the model's last forward pass.
            unit_axis: the axis of the units of given activations; 1 for convolutions.
            mask: which samples of given activations count; True keeps a sample.

        Raises:
            RuntimeError: if there is neither a model nor activations, or the penalty is closed.
        """
        if activations:
            return self._weighted(
                {str(i): self.of(x, unit_axis=unit_axis, mask=mask) for i, x in enumerate(activations)}
            )
        if self._watch is None:
            raise RuntimeError("this penalty has no model to watch; make it with a model, or call it with activations")
        return self._weighted({site: self.of(x) for site, x in self._watch.rows().items()})

    def close(self) -> None:
        """Remove every hook from the model, and release the model and the activations."""
        if self._watch is not None:
            self._watch.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self.synchronize)] = self.synchronize  # torch can't copy a process group
        made = memo[id(self)] = self.__new__(type(self))
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made


class CorrelationPenalty(ActivationPenalty):
    """Penalizes correlation between units by `correlation_penalty`.

    Args:
        model: as for `ActivationPenalty`, like the arguments without a description.
        pattern: the layers.
        weight: a number, or a function of the step; the paper uses 0.1.
        stage: "post" or "pre".
        mask: which samples count.
        debiased: subtract what noise adds.
        scale: "mean", or "per_sample" as in the code of the paper's author.
        top: the share of pairs that count, the strongest first.
        synchronize: take statistics over all processes.

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
        """Return the settings, for ``repr``."""
        return f"{super().extra_repr()}, debiased={self.debiased}, scale={self.scale!r}, top={self.top}"

    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """Return `correlation_penalty` of the activations."""
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
    """Penalizes covariance between units by `decov_penalty`; arguments as for `ActivationPenalty`.

    Example:
        >>> DeCovPenalty(weight=0.5)(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
        tensor(2.)
    """

    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """Return `decov_penalty` of the activations."""
        return decov_penalty(x, unit_axis=unit_axis, mask=mask, synchronize=self.synchronize)


class VICRegCovariancePenalty(ActivationPenalty):
    """The covariance term of VICReg, `vicreg_covariance_penalty`; arguments as for `ActivationPenalty`.

    Example:
        >>> VICRegCovariancePenalty()(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
        tensor(16.)
    """

    def of(self, x: Tensor, *, unit_axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """Return `vicreg_covariance_penalty` of the activations."""
        return vicreg_covariance_penalty(x, unit_axis=unit_axis, mask=mask, synchronize=self.synchronize)


class WeightCorrelationPenalty(Penalty):
    """Penalizes similar incoming weights by `weight_correlation_penalty`, summed over layers.

    A layer with several weights (the gates of a recurrent layer, the projections of attention) counts once, with
    their mean. Each call reads the weights anew; the model carries no hook. A penalty that is copied together with its
    model reads the copy's weights.

    Args:
        model: the network; None if each call passes weights.
        pattern: the layers, as for ``cofire.nets.sites``.
        weight: as for `Penalty`.

    Which parameters are weights, and how they hold their units, shows in the first forward pass of the model; before
    it, only torch's own layers are read.

    Raises:
        ValueError: if a pattern matches nothing, or no layer with weights.

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
        # in a tuple, as an attribute would make the model a submodule of the penalty
        self._of = () if model is None else (unwrap(model),)
        self._pattern = pattern
        for one in self._of:
            check_weights(one, pattern)
        self._first_pass = next((FirstPass(one, pattern) for one in self._of), None)

    def forward(self, *weights: Tensor) -> Tensor:
        """Return the weighted penalty, summed over layers.

        Args:
            weights: one tensor for each layer, units first; without any, those of the model.

        Raises:
            RuntimeError: if there is neither a model nor weights.
            ValueError: if no layer that the pattern matches has weights.
        """
        if weights:
            return self._weighted({str(i): weight_correlation_penalty(one) for i, one in enumerate(weights)})
        if not self._of:
            raise RuntimeError("this penalty has no model; make it with a model, or call it with weights")
        (model,) = self._of
        if self._first_pass is not None:
            self._first_pass.end_if_seen()
        found, left_out = asked_weights(model, self._pattern, known_layers(model))
        if not found:
            reasons = "".join(f"; {name}: {reason}" for name, reason in left_out.items())
            raise ValueError(
                f"no layer that matches {self._pattern!r} has weights; choose layers with a weight{reasons}"
            )
        penalties: dict[str, list[Tensor]] = {}
        for one in found:
            penalty = weight_correlation_penalty(one.read(model), groups=one.blocks)
            penalties.setdefault(one.layer.module, []).append(penalty)
        return self._weighted({name: torch.stack(of_layer).mean() for name, of_layer in penalties.items()})

    def close(self) -> None:
        """Release the model."""
        if self._first_pass is not None:
            self._first_pass.end()
        self._of = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_first_pass": None}  # a copy reads what is known of its own model
