"""Training of many small networks at once, with the result of training each alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...record import Measure, Row, Tracker
from ...record.schedule import Schedule, as_schedule
from ...stats._base.wording import plural
from ..framework.experiment import row
from .datasets import Dataset
from .loop import Settings, order_of, scores
from .stack import Stack, stackable


@dataclass(frozen=True)
class Penalized:
    """A penalty on layers' outputs, added to the loss of each network.

    Attributes:
        penalty: activations (n_models, n_samples, n_units) → one number per network.
        layers: names of the layers whose outputs are penalized, each on its own.
        weight: factor of the penalties' sum.
    """

    penalty: Callable[[Tensor], Tensor]
    layers: tuple[str, ...]
    weight: float


@dataclass
class Watch:
    """Measures and scores to record while networks train.

    Attributes:
        measures: as for `Tracker`.
        probe: inputs, as for `Tracker`; required with measures.
        every: schedule of the measures, or its shorthand.
        scores_every: schedule of ``loss``, ``accuracy``, ``test_loss`` and ``test_accuracy``, or its shorthand.
        scored: the data to score on; defaults to all training and test data.
    """

    measures: Sequence[Measure] = ()
    probe: Any = None
    every: Schedule | int | str | Iterable[int] = "epoch"
    scores_every: Schedule | int | str | Iterable[int] = "epoch"
    scored: Dataset | None = None


def fit(
    models: Sequence[nn.Module],
    data: Dataset,
    settings: Settings,
    *,
    seeds: Sequence[int],
    watch: Watch | None = None,
    penalized: Penalized | None = None,
) -> list[Row]:
    """Train classifiers of one architecture, together if `Stack` accepts them, otherwise one after the other.

    Each network has its own loss, batches, masks and steps, so the result is that of training it alone, to float
    tolerance. All see the same data; a network's seed determines the order of its batches.

    Args:
        models: one network per seed, mapping inputs to logits; trained in place.
        data: the data to learn.
        settings: see `Settings`; its seed is not used.
        seeds: random seeds for the order of the batches; each row has its network's seed.
        watch: measures and scores to record; by default the scores after every epoch.
        penalized: a penalty to add to the loss.

    Returns:
        The rows of all networks.

    Raises:
        ValueError: if the numbers of models and seeds differ, or measures have no probe.
    """
    watch = watch or Watch()
    if len(models) != len(seeds) or not models:
        raise ValueError(
            f"each network needs one seed, got {plural(len(models), 'network')} and {plural(len(seeds), 'seed')}"
        )
    if watch.measures and watch.probe is None:
        raise ValueError("measures need a probe; give Watch the inputs to take them on")
    if stackable(models[0]):
        return _fit(Stack(models), data, settings, seeds, watch, penalized)
    rows: list[Row] = []
    for model, seed in zip(models, seeds, strict=True):
        rows += _fit(Alone(model), data, settings, [seed], watch, penalized)
    return rows


class Alone:
    """One network of any architecture, with the interface of a `Stack` of one."""

    def __init__(self, model: nn.Module) -> None:
        self.models = [model]
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]

    def __call__(self, x: Tensor, *, keep: Iterable[str] = ()) -> Any:
        """Run the network on inputs (1, n_samples, ...), as `Stack` does."""
        kept: dict[str, Tensor] = {}

        def keep_output(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
            return lambda layer, inputs, output: kept.update({name: output[None]})

        handles = [self.models[0].get_submodule(name).register_forward_hook(keep_output(name)) for name in keep]
        try:
            output = self.models[0](x[0])[None]
        finally:
            for handle in handles:
                handle.remove()
        return (output, kept) if handles else output

    def train(self, mode: bool = True) -> None:
        """Set training mode, or eval mode."""
        self.models[0].train(mode)


def _fit(
    networks: Stack | Alone,
    data: Dataset,
    settings: Settings,
    seeds: Sequence[int],
    watch: Watch,
    penalized: Penalized | None,
) -> list[Row]:
    # Optimizers are elementwise, so stacked weights learn as they would apart.
    optimizer = settings.make_optimizer(networks.parameters, fused=True)
    recording = _Recording(networks.models, data, seeds, watch)
    networks.train()
    for epoch in range(settings.epochs):
        # The order in which `loop.batches` would give each network its samples.
        orders = torch.stack([order_of(len(data.train_x), seed, epoch) for seed in seeds])
        for chosen in orders.split(settings.batch_size, dim=1):
            optimizer.zero_grad()
            _loss(networks, _taken(data.train_x, chosen), _taken(data.train_y, chosen), penalized).backward()
            optimizer.step()
            recording.step()
        recording.end_epoch()
    return recording.rows


def _taken(samples: Tensor, chosen: Tensor) -> Tensor:
    # ``samples[chosen]`` takes twice as long.
    return samples.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)


def _loss(networks: Stack | Alone, x: Tensor, y: Tensor, penalized: Penalized | None) -> Tensor:
    """Sum the networks' mean losses; a sum over networks leaves each one's gradient independent of the others."""
    found = networks(x, keep=penalized.layers if penalized else ())
    logits, kept = found if penalized else (found, {})
    loss = functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]
    if penalized is None:
        return loss
    penalties = torch.stack([penalized.penalty(kept[name]) for name in penalized.layers])
    return loss + penalized.weight * penalties.sum()


class _Recording:
    """The rows of all networks, from one tracker per network and the scores."""

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
        self.rows += score_rows(self._models, self._scored, self._seeds, step=self.step_count, epoch=self.epoch)


def score_rows(
    models: Sequence[nn.Module], data: Dataset, seeds: Sequence[int], *, step: int = 0, epoch: int = 0
) -> Iterator[Row]:
    """Yield each network's ``loss``, ``accuracy``, ``test_loss`` and ``test_accuracy`` as rows."""
    for model, seed in zip(models, seeds, strict=True):
        for name, value in vars(scores(model, data)).items():
            yield row(name, value, seed=seed, step=step, epoch=epoch)


def correlation_penalties(x: Tensor) -> Tensor:
    """Compute `cofire.correlation_penalty` of several networks at once; constant units do not count here either.

    Args:
        x: activations, shape (n_models, n_samples, n_units).

    Returns:
        One penalty per network, shape (n_models,).

    Example:
        >>> from cofire import correlation_penalty
        >>> x = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(correlation_penalties(x)[1].isclose(correlation_penalty(x[1])))
        True
    """
    # Subtracting a sample first makes a constant unit exactly 0, which its rounded mean would not.
    centered = x - x[:, :1]
    centered = centered - centered.mean(1, keepdim=True)
    squares = centered.square().sum(1, keepdim=True)
    units = centered * squares.clamp(min=torch.finfo(x.dtype).tiny).rsqrt()
    n_units = (squares > 0).sum((1, 2)).clamp(min=1)
    return torch.bmm(units.transpose(1, 2), units).square().sum((1, 2)) / (2 * n_units)
