"""What training data and weights say about how well a classifier will do on other data: a score to rank networks by."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..stats import Moments, weight_correlation
from ..stats._base.display import Shown
from .capturing.capture import capture
from .layers.layer_names import named_layers, unwrap
from .layers.layer_weights import n_groups, unit_weights
from .layers.outputs import is_output_layer
from .layers.patterns import Pattern
from .layers.sites import sites
from .loading.batches import as_batches, forward
from .loading.eval_mode import evaluating

LOW_MARGIN = 0.1


@dataclass(frozen=True)
class LayerScore(Shown):
    """Correlations of one layer.

    Attributes:
        neuronal_correlation: mean abs(rho) of its units on the data, less the part that noise adds.
        interval: 95 % interval of it.
        weight_correlation: mean abs(cosine) of its units' incoming weights.
    """

    neuronal_correlation: float
    interval: tuple[float, float]
    weight_correlation: float


@dataclass(frozen=True)
class GeneralizationScore(Shown):
    """Numbers that are said to be larger where a network generalizes worse, and plain ones to compare them with.

    Attributes:
        layers: by name.
        parameter_norm: root of the sum of squares of all weights of two and more axes.
        margin: the 10 % quantile over samples of the right class's logit less the largest other one; larger where a
            network generalizes better. NaN for data without labels.
        loss: mean cross-entropy on the data, in nats; NaN likewise.
    """

    layers: Mapping[str, LayerScore]
    parameter_norm: float
    margin: float
    loss: float

    @property
    def neuronal_correlation(self) -> float:
        """Mean over layers."""
        return _mean([layer.neuronal_correlation for layer in self.layers.values()])

    @property
    def weight_correlation(self) -> float:
        """Mean over layers."""
        return _mean([layer.weight_correlation for layer in self.layers.values()])

    @property
    def last_neuronal_correlation(self) -> float:
        """Of the last layer scored: by default the one before the outputs, which jin2022 looks at."""
        return list(self.layers.values())[-1].neuronal_correlation


def generalization_score(
    model: nn.Module, data: Any, *, pattern: "Pattern | list[Pattern] | None" = None
) -> GeneralizationScore:
    """Neuronal and weight correlation of a trained classifier, next to plain measures of how well it generalizes.

    No test data are needed: pass (part of) the training data. A low correlation is said to go with a small
    generalization gap; how well each number ranks networks is measured in ``docs/guide/generalization.md``. Compare
    networks of one task only.

    Args:
        model: a classifier that puts out logits, shape (n_samples, n_classes); run in eval mode, unchanged.
        data: batches (inputs, labels), gone through once; a tensor of inputs gives no margin and loss.
        pattern: the layers to score, in their order; by default all with weights but the last, whose units are classes.

    Raises:
        ValueError: for a model without layers to score, data that cannot be used, labels that do not fit the logits,
            or a pattern that matches nothing.

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
    names = _scored_layers(model, pattern)
    with evaluating(model):
        moments, logits, labels = _seen(model, names, batches)
    norm = math.sqrt(sum(float(one.detach().double().square().sum()) for one in model.parameters() if one.ndim > 1))
    modules = named_layers(model)
    layers = {name: _layer(modules[name], moments[name]) for name in names}
    return GeneralizationScore(layers, norm, *_margin_and_loss(logits, labels))


def _scored_layers(model: nn.Module, pattern: "Pattern | list[Pattern] | None") -> list[str]:
    modules = named_layers(model)
    found = [site.layer for site in sites(model, "*" if pattern is None else pattern)]
    names = [name for name in found if unit_weights(modules[name])]
    if pattern is None:
        names = [name for name in names if not is_output_layer(name, names)]
    if not names:
        raise ValueError("there is no layer with weights to score, besides the last, whose units are the classes")
    return names


def _seen(
    model: nn.Module, names: list[str], batches: Iterable[Any]
) -> tuple[dict[str, Moments], list[Tensor], list[Tensor]]:
    """Moments of the layers, logits, and labels where there are any."""
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    with capture(model, names, into=Moments) as captured:
        for batch in batches:
            logits.append(forward(model, batch))
            if isinstance(batch, list | tuple) and len(batch) > 1:
                labels.append(batch[1])
    return {name: _joined(captured, name) for name in names}, logits, labels


def _joined(captured: Mapping[str, Moments], name: str) -> Moments:
    """All calls of a layer as one."""
    return sum((moments for call, moments in captured.items() if call.partition("#")[0] == name), Moments())


def _layer(module: nn.Module, moments: Moments) -> LayerScore:
    summary = moments.summary()
    groups = n_groups(module)
    found = [float(weight_correlation(weight.detach(), groups=groups)) for weight in unit_weights(module).values()]
    return LayerScore(summary.debiased, summary.interval, _mean(found))


def _margin_and_loss(logits: list[Tensor], labels: list[Tensor]) -> tuple[float, float]:
    if not labels:
        return math.nan, math.nan
    scores, right = torch.cat(logits).double(), torch.cat(labels).to(logits[0].device)
    if scores.ndim != 2 or right.shape != scores.shape[:1] or right.is_floating_point():
        raise ValueError(
            f"labels are whole numbers, one for each sample of the logits; got {right.dtype} of shape "
            f"{tuple(right.shape)} for logits of shape {tuple(scores.shape)}"
        )
    if len(right) and not 0 <= int(right.min()) <= int(right.max()) < scores.shape[1]:
        raise ValueError(
            f"labels must be from 0 to {scores.shape[1] - 1}, got {int(right.min())} to {int(right.max())}"
        )
    own = scores.gather(1, right[:, None])[:, 0]
    others = scores.scatter(1, right[:, None], -torch.inf).amax(1)
    return float((own - others).quantile(LOW_MARGIN)), float(functional.cross_entropy(scores, right))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
