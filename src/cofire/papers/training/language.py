"""Training of character models by backpropagation through a few characters of many streams at once."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...record import Measure, Row, Tracker
from ...record.schedule import Schedule
from ..framework.task_context import Stage, begin_stage
from .loop import Settings
from .resuming import learning_state, on_device, restore_learning, rows_in
from .texts import Text

State = Sequence[tuple[Tensor, Tensor]]
TESTED_STREAMS = 64


@dataclass(frozen=True)
class Reading(Settings):
    """How a text is read and learned; `Settings` describes the other attributes.

    Attributes:
        batch_size: number of streams, one from each of as many equal parts of the text.
        length: characters per step, through which gradients flow back; the state is kept, without its gradient.
        clip: largest norm of the gradient.
    """

    batch_size: int = 32
    length: int = 10
    clip: float = 5.0


def windows(text: Tensor, *, batch_size: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets (batch_size, length) in order: each row continues that row of the previous window.

    Raises:
        ValueError: if the text is too short for one window.

    Example:
        >>> [x.tolist() for x, _ in windows(torch.arange(9), batch_size=2, length=2)]
        [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    n_each = (len(text) - 1) // batch_size
    if n_each < length:
        raise ValueError(
            f"{batch_size} streams of {length} need {batch_size * length + 1} characters, got {len(text)}; "
            "give a longer text or fewer, shorter streams"
        )
    streams, targets = (part[: batch_size * n_each].view(batch_size, n_each) for part in (text, text[1:]))
    for start in range(0, n_each - length + 1, length):
        yield streams[:, start : start + length], targets[:, start : start + length]


def learn_text(
    model: nn.Module,
    text: Text,
    reading: Reading,
    *,
    seed: int = 0,
    measures: Sequence[Measure] = (),
    probe: Tensor | None = None,
    every: Schedule | int | str | Iterable[int] = "epoch",
) -> list[Row]:
    """Train a character model in place, on the running task's device; an interrupted task goes on from its checkpoint.

    Args:
        model: (symbols, state) → (logits, state), as `CharacterLSTM`.
        text: the text; its training part is used.
        reading: see `Reading`.
        seed: the model's seed, which its rows and its part of the checkpoint bear.
        measures: as for `Tracker`.
        probe: as for `Tracker`; required with measures.
        every: as for `Tracker`.

    Returns:
        The rows of the measures.
    """
    stage = begin_stage(f"{model!r}, {reading}, seed {seed}, {len(text.train)} characters")
    if stage.state is not None and stage.finished:
        restore_learning([model], stage.state)
        return rows_in(stage.state)
    with on_device([model]) as device, ExitStack() as open_trackers:
        rows: list[Row] = [] if stage.state is None else rows_in(stage.state)
        options: dict[str, Any] = {"probe": None if probe is None else probe.to(device), "every": every}
        before = None if stage.state is None or not measures else stage.state["trackers"][0]
        trackers = [Tracker(model, measures, sink=rows.extend, seed=seed, state=before, **options)] if measures else []
        for tracker in trackers:
            open_trackers.enter_context(tracker)
        _learn(model, text.train.to(device), reading, stage, trackers, rows)
    return rows


def _learn(
    model: nn.Module, symbols: Tensor, reading: Reading, stage: Stage, trackers: Sequence[Tracker], rows: Sequence[Row]
) -> None:
    optimizer = reading.make_optimizer(model.parameters(), fused=True)
    step = begun = 0
    if stage.state is not None:
        restore_learning([model], stage.state, optimizer)
        step, begun = stage.state["step"], stage.state["epoch"]
    for epoch in range(begun + 1, reading.epochs + 1):
        state: State | None = None
        for inputs, targets in windows(symbols, batch_size=reading.batch_size, length=reading.length):
            model.train()  # a measure may have left it in eval mode
            logits, after = model(inputs, state)
            optimizer.zero_grad()
            functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), reading.clip)
            optimizer.step()
            # Detached, so that the next window's gradient stops at its own first character.
            state = [(hidden.detach(), cell.detach()) for hidden, cell in after]
            step += 1
            for tracker in trackers:
                tracker.step()
        for tracker in trackers:
            tracker.end_epoch()
        time = {"step": step, "epoch": epoch}
        stage.save(partial(learning_state, [model], rows, **time, optimizer=optimizer, trackers=trackers))
    stage.finish(partial(learning_state, [model], rows, step=step, epoch=reading.epochs))


@torch.no_grad()
def text_loss(model: nn.Module, symbols: Tensor, *, length: int = 100) -> float:
    """Compute the mean cross-entropy of the next character in nats, in eval mode, with the state carried along."""
    was_training, total, count = model.training, 0.0, 0
    model.eval()
    state: State | None = None
    streams = max(1, min(TESTED_STREAMS, (len(symbols) - 1) // length))
    for inputs, targets in windows(symbols, batch_size=streams, length=length):
        logits, state = model(inputs, state)
        total += float(functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"))
        count += targets.numel()
    model.train(was_training)
    return total / count


def windows_of(text: Tensor, *, n_windows: int, length: int) -> Tensor:
    """Return inputs (n_windows, length) at equal distances over a text, as a probe for the tracker.

    Raises:
        ValueError: if the text is too short.

    Example:
        >>> windows_of(torch.arange(20), n_windows=2, length=3).tolist()
        [[0, 1, 2], [10, 11, 12]]
    """
    apart = len(text) // n_windows
    if apart < length:
        raise ValueError(f"{n_windows} windows of {length} need {n_windows * length} characters, got {len(text)}")
    return torch.stack([text[place * apart : place * apart + length] for place in range(n_windows)])
