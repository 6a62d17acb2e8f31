"""Training of many small networks at once, with the result of training each alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...record import Measure, Row, Tracker
from ...record.schedule import Schedule, as_schedule
from ...stats._base.wording import plural
from ..framework.experiment import row
from ..framework.task_context import Stage, begin_stage
from .datasets import Dataset
from .loop import Settings, order_of, scores
from .resuming import learning_state, on_device, restore_learning, rows_in
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
    tolerance. All see the same data; a network's seed determines the order of its batches. They train on the running
    task's device and end on the CPU; a task that was interrupted goes on from its checkpoint, to the same rows. When
    all networks of a stack have diverged, so that no weight will be finite again, they learn no more.

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
    stacks = [(models, seeds)] if stackable(models[0]) else [([a], [b]) for a, b in zip(models, seeds, strict=True)]
    rows: list[Row] = []
    with on_device(models) as device:
        there, seen = data.on(device), _watched_on(device, watch)
        for some, own in stacks:
            networks = Stack(some) if stackable(some[0]) else Alone(some[0])
            stage = begin_stage(f"{some[0]!r}, {settings}, seeds {list(own)}, {len(data.train_x)} of {data.name}")
            rows += _fit(networks, there, settings, own, seen, penalized, stage)
    return rows


def _watched_on(device: torch.device, watch: Watch) -> Watch:
    scored = None if watch.scored is None else watch.scored.on(device)
    return replace(
        watch, scored=scored, probe=watch.probe.to(device) if isinstance(watch.probe, Tensor) else watch.probe
    )


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
    stage: Stage,
) -> list[Row]:
    if stage.state is not None and stage.finished:
        restore_learning(networks.models, stage.state)
        return rows_in(stage.state)
    # Optimizers are elementwise, so stacked weights learn as they would apart.
    optimizer = settings.make_optimizer(networks.parameters, fused=True)
    recording = _Recording(networks.models, data, seeds, watch, stage.state)
    if stage.state is not None:
        restore_learning(networks.models, stage.state, optimizer)
    networks.train()
    for epoch in range(recording.epoch, settings.epochs):
        learning = any(map(_finite, networks.models))
        # The order in which `loop.batches` would give each network its samples.
        orders = torch.stack([order_of(len(data.train_x), seed, epoch) for seed in seeds]).to(data.train_x.device)
        for chosen in orders.split(settings.batch_size, dim=1):
            if learning:
                optimizer.zero_grad()
                _loss(networks, _taken(data.train_x, chosen), _taken(data.train_y, chosen), penalized).backward()
                optimizer.step()
            recording.step()
        recording.end_epoch()
        stage.save(lambda: recording.state(optimizer))
    stage.finish(recording.state)
    return recording.rows


def _finite(model: nn.Module) -> bool:
    return all(bool(weight.isfinite().all()) for weight in model.parameters())


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
    """The rows of all networks, from one tracker per network and the scores; ``state`` is where they were left."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        data: Dataset,
        seeds: Sequence[int],
        watch: Watch,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.rows: list[Row] = [] if state is None else rows_in(state)
        self.step_count, self.epoch = (0, 0) if state is None else (state["step"], state["epoch"])
        self._models, self._seeds = models, seeds
        self._scored, self._when = watch.scored or data, as_schedule(watch.scores_every)
        known = [None] * len(models) if state is None else state["trackers"]
        options: dict[str, Any] = {"probe": watch.probe, "every": watch.every, "sink": self.rows.extend}
        self._trackers = [
            Tracker(model, watch.measures, seed=seed, state=before, **options)
            for model, seed, before in (zip(models, seeds, known, strict=True) if watch.measures else ())
        ]
        if state is None:
            self._score(epoch_end=False)

    def state(self, optimizer: torch.optim.Optimizer | None = None) -> dict[str, Any]:
        """Return the state of all networks; without an optimizer, that of their end."""
        trackers = () if optimizer is None else self._trackers
        time = {"step": self.step_count, "epoch": self.epoch}
        return learning_state(self._models, self.rows, **time, optimizer=optimizer, trackers=trackers)

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
    """Compute `cofire.nets.correlation_penalty` of several networks at once; constant units do not count here either.

    Args:
        x: activations, shape (n_models, n_samples, n_units).

    Returns:
        One penalty per network, shape (n_models,).

    Example:
        >>> from cofire.nets import correlation_penalty
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
