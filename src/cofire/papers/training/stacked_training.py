"""Training many small networks at once, each as though it were alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...record import Measure, Row, Tracker
from ...record.schedule import Schedule, as_schedule
from ...stats._base.wording import plural
from ..framework.experiment import row
from .datasets import Dataset
from .loop import OPTIMIZERS, Settings, order_of, scores
from .stack import Stack, stackable

Penalty = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Penalized:
    """A penalty on what layers give, added to the loss of each network.

    Attributes:
        penalty: activations (n_models, n_samples, n_units) → one number a network.
        layers: names of the layers whose outputs are penalized, each for itself.
        weight: of the sum.
    """

    penalty: Penalty
    layers: tuple[str, ...]
    weight: float


@dataclass
class Watch:
    """What is recorded while networks train.

    Attributes:
        measures: as for `Tracker`.
        probe: inputs, as for `Tracker`; with measures it is needed.
        every: when measures are taken: a schedule or its shorthand.
        scores_every: when ``loss``, ``accuracy``, ``test_loss`` and ``test_accuracy`` are.
        scored: the data for these; by default the training data and the test data, whole.
        stop: asked after each epoch, with the number of epochs and all rows so far; True ends the training.
    """

    measures: Sequence[Measure] = ()
    probe: Any = None
    every: Schedule | int | str | Iterable[int] = "epoch"
    scores_every: Schedule | int | str | Iterable[int] = "epoch"
    scored: Dataset | None = None
    stop: Callable[[int, Sequence[Row]], bool] = field(default=lambda epoch, rows: False)


def fit(
    models: Sequence[nn.Module],
    data: Dataset,
    settings: Settings,
    *,
    seeds: Sequence[int],
    watch: Watch | None = None,
    penalized: Penalized | None = None,
) -> list[Row]:
    """Train classifiers of one architecture, side by side where `Stack` takes them, else one after the other.

    Each network's loss, batches, masks and steps are its own: the result is that of training it alone, to float
    tolerance. All see the same data; the order of a network's batches comes from its seed.

    Args:
        models: one a seed, mapping inputs to logits; trained in place.
        data: what to learn.
        settings: see `Settings`; its seed is not used.
        seeds: of the order of the batches, and written into the rows.
        watch: what to record.
        penalized: what is added to the loss.

    Returns:
        The rows of all networks.

    Raises:
        ValueError: if models and seeds are not as many, or no probe comes with the measures.
    """
    watch = watch or Watch()
    if len(models) != len(seeds) or not models:
        raise ValueError(
            f"each network needs a seed, got {plural(len(models), 'network')} and {plural(len(seeds), 'seed')}"
        )
    if watch.measures and watch.probe is None:
        raise ValueError("measures need a probe: the inputs that they are taken on")
    if stackable(models[0]):
        return _fit(Stack(models), data, settings, seeds, watch, penalized)
    alone = ((Alone(model), [seed]) for model, seed in zip(models, seeds, strict=True))
    return [made for one, seed in alone for made in _fit(one, data, settings, seed, watch, penalized)]


class Alone:
    """One network of any architecture, spoken to as to a `Stack` of one."""

    def __init__(self, model: nn.Module) -> None:
        self.models = [model]
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]

    def __call__(self, x: Tensor, *, keep: Iterable[str] = ()) -> Any:
        """As `Stack`, for inputs (1, n_samples, ...)."""
        kept: dict[str, Tensor] = {}
        layers = dict(self.models[0].named_modules())
        handles = [layers[name].register_forward_hook(_keeper(kept, name)) for name in keep]
        try:
            output = self.models[0](x[0])[None]
        finally:
            for handle in handles:
                handle.remove()
        return (output, kept) if handles else output

    def train(self, mode: bool = True) -> None:
        """Put the network into training mode, or out of it."""
        self.models[0].train(mode)


def _keeper(kept: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def keep(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        kept[name] = output[None]

    return keep


Networks = Stack | Alone


def _fit(
    networks: Networks,
    data: Dataset,
    settings: Settings,
    seeds: Sequence[int],
    watch: Watch,
    penalized: Penalized | None,
) -> list[Row]:
    optimizer = _optimizer(networks.parameters, settings)
    recording = _Recording(networks.models, data, seeds, watch)
    networks.train()
    for epoch in range(settings.epochs):
        for chosen in _batches(len(data.train_x), settings.batch_size, seeds, epoch):
            optimizer.zero_grad()
            _loss(networks, _taken(data.train_x, chosen), _taken(data.train_y, chosen), penalized).backward()
            optimizer.step()
            recording.step()
        recording.end_epoch()
        if watch.stop(epoch + 1, recording.rows):
            break
    return recording.rows


def _batches(n_samples: int, batch_size: int, seeds: Sequence[int], epoch: int) -> Iterator[Tensor]:
    """Which samples each network sees, (n_models, batch_size): the order that `training.batches` gives its seed."""
    orders = torch.stack([order_of(n_samples, seed, epoch) for seed in seeds])
    return iter(orders.split(batch_size, dim=1))


def _taken(samples: Tensor, chosen: Tensor) -> Tensor:
    """``samples[chosen]``, in half the time."""
    return samples.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)


def _loss(networks: Networks, x: Tensor, y: Tensor, penalized: Penalized | None) -> Tensor:
    """The sum over networks of their mean losses: no network's gradient knows of another's."""
    if penalized is None:
        return _cross_entropy(networks(x), y)
    logits, kept = networks(x, keep=penalized.layers)
    penalties = torch.stack([penalized.penalty(kept[name]) for name in penalized.layers])
    return _cross_entropy(logits, y) + penalized.weight * penalties.sum()


def _cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]


def _optimizer(parameters: Sequence[Tensor], settings: Settings) -> torch.optim.Optimizer:
    """Its arithmetic is elementwise, so stacked weights learn as they would apart."""
    extra = {"momentum": settings.momentum} if settings.optimizer == "sgd" else {}
    make = OPTIMIZERS[settings.optimizer]
    return make(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True, **extra)


class _Recording:
    """A tracker for each network, and the scores."""

    def __init__(self, models: Sequence[nn.Module], data: Dataset, seeds: Sequence[int], watch: Watch) -> None:
        self.rows: list[Row] = []
        self.step_count = self.epoch = 0
        self._models, self._seeds = models, seeds
        self._scored, self._when = watch.scored or data, as_schedule(watch.scores_every)
        self._trackers = [
            Tracker(model, watch.measures, probe=watch.probe, every=watch.every, seed=seed, sink=self.rows.extend)
            for model, seed in zip(models, seeds, strict=True)
            if watch.measures
        ]
        self._score(epoch_end=False)

    def step(self) -> None:
        self.step_count += 1
        for tracker in self._trackers:
            tracker.step()
        self._score(epoch_end=False)

    def end_epoch(self) -> None:
        self.epoch += 1
        for tracker in self._trackers:
            tracker.end_epoch()
        if not self._when.due(self.step_count):
            self._score(epoch_end=True)

    def _score(self, *, epoch_end: bool) -> None:
        if not self._when.due(self.step_count, epoch_end=epoch_end):
            return
        for model, seed in zip(self._models, self._seeds, strict=True):
            found: Mapping[str, float] = vars(scores(model, self._scored))
            at = partial(row, seed=seed, step=self.step_count, epoch=self.epoch)
            self.rows += [at(name, value) for name, value in found.items()]


def correlation_penalties(x: Tensor) -> Tensor:
    """`cofire.correlation_penalty` of several networks at once.

    Args:
        x: activations, shape (n_models, n_samples, n_units).

    Returns:
        One penalty a network, shape (n_models,).

    Constant units count as they do there: not at all.

    Example:
        >>> from cofire import correlation_penalty
        >>> x = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(correlation_penalties(x)[1].isclose(correlation_penalty(x[1])))
        True
    """
    centered = x - x[:, :1]  # so that a constant unit is exactly 0
    centered = centered - centered.mean(1, keepdim=True)
    squares = centered.square().sum(1, keepdim=True)
    units = centered * squares.clamp(min=torch.finfo(x.dtype).tiny).rsqrt()
    n_units = (squares > 0).sum((1, 2)).clamp(min=1)
    return torch.bmm(units.transpose(1, 2), units).square().sum((1, 2)) / (2 * n_units)
