"""Training models of the next character, by backpropagation through a few characters of many streams at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .loop import OPTIMIZERS
from .texts import Text

State = Sequence[tuple[Tensor, Tensor]]
TESTED_STREAMS = 64


@dataclass(frozen=True)
class Reading:
    """How a text is read and learned.

    Attributes:
        epochs: passes over the training text.
        batch_size: streams, one from each of as many equal parts of the text.
        length: characters of a step, through which gradients go back; the state goes on, without its gradient.
        optimizer: ``"adam"`` or ``"sgd"``.
        learning_rate: of the optimizer.
        clip: largest norm of the gradient.
    """

    epochs: int
    batch_size: int = 32
    length: int = 10
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    clip: float = 5.0


def windows(text: Tensor, *, batch_size: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets (batch_size, length), in order: a row goes on where the row of the window before ended.

    Raises:
        ValueError: if the text is too short for one window.

    Example:
        >>> [x.tolist() for x, _ in windows(torch.arange(9), batch_size=2, length=2)]
        [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    n_each = (len(text) - 1) // batch_size
    if n_each < length:
        raise ValueError(
            f"{len(text)} characters are too few for {batch_size} streams of {length}; "
            f"{batch_size * length + 1} are needed"
        )
    streams, targets = (part[: batch_size * n_each].view(batch_size, n_each) for part in (text, text[1:]))
    for start in range(0, n_each - length + 1, length):
        yield streams[:, start : start + length], targets[:, start : start + length]


def learn_text(
    model: nn.Module,
    text: Text,
    reading: Reading,
    *,
    each_step: Callable[[int], object] = lambda step: None,
    each_epoch: Callable[[int], object] = lambda epoch: None,
) -> None:
    """Train a model of characters in place.

    Args:
        model: (symbols, state) → (logits, state), as `CharacterLSTM`.
        text: what to learn.
        reading: see `Reading`.
        each_step: called after each step with its number, from 1 on; a tracker's ``step`` goes here.
        each_epoch: called after each epoch with its number.
    """
    extra: dict[str, Any] = {"fused": True}
    optimizer = OPTIMIZERS[reading.optimizer](model.parameters(), lr=reading.learning_rate, **extra)
    step = 0
    for epoch in range(1, reading.epochs + 1):
        state: State | None = None
        for inputs, targets in windows(text.train, batch_size=reading.batch_size, length=reading.length):
            model.train()
            logits, after = model(inputs, state)
            optimizer.zero_grad()
            functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), reading.clip)
            optimizer.step()
            state = [(hidden.detach(), cell.detach()) for hidden, cell in after]
            step += 1
            each_step(step)
        each_epoch(epoch)


@torch.no_grad()
def text_loss(model: nn.Module, symbols: Tensor, *, length: int = 100) -> float:
    """Mean cross-entropy of the next character in nats, in eval mode, the state carried on."""
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
    """Inputs (n_windows, length) from equal distances over a text: a probe for the tracker.

    Raises:
        ValueError: if the text is too short.

    Example:
        >>> windows_of(torch.arange(20), n_windows=2, length=3).tolist()
        [[0, 1, 2], [10, 11, 12]]
    """
    apart = len(text) // n_windows
    if apart < length:
        raise ValueError(f"{len(text)} characters do not hold {n_windows} windows of {length}")
    return torch.stack([text[place * apart : place * apart + length] for place in range(n_windows)])
