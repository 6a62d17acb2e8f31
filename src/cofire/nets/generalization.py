"""A score of a trained classifier, from its training data and weights, to rank networks by generalization."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..stats import Moments, weight_correlation
from ..stats._base.display import Shown
from .capturing.capture import capture
from .layer_names import unwrap
from .layers.layer_weights import UnitWeight, asked_weights, known_layers
from .layers.patterns import Pattern
from .layers.sites import Asked
from .loading.batches import as_batches, forward
from .loading.eval_mode import evaluating

LOW_MARGIN = 0.1


@dataclass(frozen=True)
class LayerScore(Shown):
    """The correlations of one layer.

    Attributes:
        neuronal_correlation: mean abs(rho) of its units on the data, minus the part that noise adds.
        interval: 95 % interval of the neuronal correlation.
        weight_correlation: mean abs(cosine) of its units' incoming weights.
    """

    neuronal_correlation: float
    interval: tuple[float, float]
    weight_correlation: float


@dataclass(frozen=True)
class GeneralizationScore(Shown):
    """Correlations that are claimed to be larger if a network generalizes worse, and simple baselines.

    Attributes:
        layers: the scores of the layers, by name.
        parameter_norm: root of the sum of squares of all parameters with two or more axes.
        margin: the 10 % quantile over samples of the right class's logit minus the largest other one; claimed to be
            larger if a network generalizes better. NaN for data without labels.
        loss: mean cross-entropy on the data, in nats; NaN for data without labels.
    """

    layers: Mapping[str, LayerScore]
    parameter_norm: float
    margin: float
    loss: float

    @property
    def neuronal_correlation(self) -> float:
        """Mean over the layers."""
        return fmean([layer.neuronal_correlation for layer in self.layers.values()])

    @property
    def weight_correlation(self) -> float:
        """Mean over the layers."""
        return fmean([layer.weight_correlation for layer in self.layers.values()])

    @property
    def last_neuronal_correlation(self) -> float:
        """Neuronal correlation of the last scored layer, by default the one before the outputs, as in jin2022."""
        return list(self.layers.values())[-1].neuronal_correlation


def generalization_score(
    model: nn.Module, data: Any, *, pattern: "Pattern | list[Pattern] | None" = None
) -> GeneralizationScore:
    """Compute neuronal and weight correlation of a trained classifier, with simple baselines.

    Pass the training data or part of it; no test data are needed. Low correlations are claimed to go with a small
    generalization gap; ``docs/guide/generalization.md`` measures how well each number ranks networks. Compare only
    networks trained on the same task.

    Args:
        model: a classifier that returns logits, shape (n_samples, n_classes). It runs in eval mode and is not changed.
        data: batches (inputs, labels), read once; a tensor of inputs gives no margin and no loss.
        pattern: the layers to score; by default all with weights except the last, whose units are classes.

    Raises:
        ValueError: if the model has no layers to score, the data cannot be read, the labels do not fit the logits, or
            the pattern matches nothing.

    References: Jin, Yi, Huang 2022, "Neuronal correlation: a central concept in neural network"; Jin et al. 2020,
        "How does weight correlation affect the generalisation ability of deep neural networks?".

    Example:
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        >>> data = DataLoader(TensorDataset(torch.randn(90, 4), torch.arange(90) % 3), batch_size=30)
        >>> score = generalization_score(model, data)
        >>> list(score.layers), 0 < score.neuronal_correlation < 1, score.loss > 0
        (['0'], True, True)
    """
    model, batches = unwrap(model), as_batches(data)
    asked: Asked = "*" if pattern is None else pattern
    with evaluating(model):
        moments, logits, labels = _seen(model, asked, batches)
    weights = _scored_weights(model, asked, set(moments), with_outputs=pattern is not None)
    norm = math.sqrt(sum(float(one.detach().double().square().sum()) for one in model.parameters() if one.ndim > 1))
    layers = {name: _layer(model, of_layer, moments[name]) for name, of_layer in weights.items()}
    return GeneralizationScore(layers, norm, *_margin_and_loss(logits, labels))


def _scored_weights(
    model: nn.Module, asked: Asked, measured: set[str], *, with_outputs: bool
) -> dict[str, list[UnitWeight]]:
    """Return the weights of the layers to score, by module."""
    found: dict[str, list[UnitWeight]] = {}
    for one in asked_weights(model, asked, known_layers(model))[0]:
        if one.layer.module in measured and (with_outputs or not one.layer.is_output):
            found.setdefault(one.layer.module, []).append(one)
    if not found:
        raise ValueError(
            "found no layer with weights to score other than the outputs, whose units are classes; choose layers with "
            "pattern"
        )
    return found


def _seen(
    model: nn.Module, asked: Asked, batches: Iterable[Any]
) -> tuple[dict[str, Moments], list[Tensor], list[Tensor]]:
    """Return the moments of the layers, the logits, and the labels if there are any."""
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    with capture(model, asked, into=Moments) as captured:
        for batch in batches:
            logits.append(forward(model, batch))
            if isinstance(batch, list | tuple) and len(batch) > 1:
                labels.append(batch[1])
    return dict(captured), logits, labels


def _layer(model: nn.Module, weights: list[UnitWeight], moments: Moments) -> LayerScore:
    summary = moments.summary()
    found = [float(weight_correlation(one.read(model).detach(), groups=one.blocks)) for one in weights]
    return LayerScore(summary.debiased, summary.interval, fmean(found))


def _margin_and_loss(logits: list[Tensor], labels: list[Tensor]) -> tuple[float, float]:
    if not labels:
        return math.nan, math.nan
    scores, right = torch.cat(logits).double(), torch.cat(labels).to(logits[0].device)
    if scores.ndim != 2 or right.shape != scores.shape[:1] or right.is_floating_point():
        raise ValueError(
            f"expected whole numbers as labels, one for each sample of the logits; got {right.dtype} of shape "
            f"{tuple(right.shape)} for logits of shape {tuple(scores.shape)}"
        )
    if len(right) and not 0 <= int(right.min()) <= int(right.max()) < scores.shape[1]:
        raise ValueError(
            f"labels must be from 0 to {scores.shape[1] - 1}, got {int(right.min())} to {int(right.max())}"
        )
    own = scores.gather(1, right[:, None])[:, 0]
    others = scores.scatter(1, right[:, None], -torch.inf).amax(1)
    return float((own - others).quantile(LOW_MARGIN)), float(functional.cross_entropy(scores, right))
