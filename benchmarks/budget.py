"""The cost of Tracker(budget=0.02) for training an MLP, a CNN and a small transformer."""

from collections.abc import Callable, Sequence
from statistics import stdev
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.harness import keep_memory
from cofire import Tracker
from cofire.record import correlation

SHARE = 0.02
BLOCK = 25


def mlp() -> tuple[nn.Module, Tensor]:
    """Return 784-1024-1024-10 and a batch of 128."""
    layers = [nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)]
    return nn.Sequential(*layers), torch.randn(128, 784)


def cnn() -> tuple[nn.Module, Tensor]:
    """Return three convolutions with a dense layer, and 16 images of 32 by 32."""
    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 16, 10)]
    return nn.Sequential(*layers), torch.randn(16, 3, 32, 32)


def transformer() -> tuple[nn.Module, Tensor]:
    """Return two blocks of width 128, and 8 texts of 64 tokens."""
    block = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True, dropout=0.0)
    return nn.TransformerEncoder(block, 2, enable_nested_tensor=False), torch.randn(8, 64, 128)


def training(model: nn.Module, x: Tensor, tracker: Tracker | None) -> Callable[[], None]:
    """Return a function that trains a block of steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def run() -> None:
        for _ in range(BLOCK):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            if tracker is not None:
                tracker.step()

    return run


def compared(blocks: Sequence[Callable[[], None]], *, seconds: float) -> list[list[float]]:
    """Time blocks of each contender in turn; the one that goes first changes."""
    keep_memory()
    for block in blocks:
        block()
    times: list[list[float]] = [[] for _ in blocks]
    end = perf_counter() + seconds
    while perf_counter() < end:
        first = len(times[0]) % len(blocks)
        for which in (*range(first, len(blocks)), *range(first)):
            times[which].append(timed(blocks[which]))
    return times


def ratio(found: Sequence[float], base: Sequence[float]) -> str:
    """Return the ratio of total times with its standard error: a median would miss the rare recordings."""
    times = sum(found) / sum(base)
    rest = [a - times * b for a, b in zip(found, base, strict=True)]
    return f"{times:.4f} ± {stdev(rest) * len(rest) ** 0.5 / sum(base):.4f}"


def timed(block: Callable[[], None]) -> float:
    start = perf_counter()
    block()
    return perf_counter() - start


def main(seconds: float = 20.0) -> None:
    """Compare training with a recording due at every step to two trainings without, which show the machine's noise."""
    table = Table(title=f"Tracker(budget={SHARE}), every step due, {seconds:g} s each", title_justify="left")
    for column in ("", "training, ms a step", "the other without", "ratio with", "goal", "own count", "recordings"):
        table.add_column(column)
    for make in (mlp, cnn, transformer):
        torch.manual_seed(0)
        (one, x), (other, _), (followed, _) = make(), make(), make()
        with Tracker(followed, [correlation()], every=1, budget=SHARE, sink=len) as tracker:
            blocks = training(one, x, None), training(other, x, None), training(followed, x, tracker)
            first, second, third = compared(blocks, seconds=seconds)
            kept = tracker.overhead
        base = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
        shown = f"{1e3 * sum(base) / len(base) / BLOCK:.2f}", ratio(second, first), ratio(third, base)
        table.add_row(make.__name__, *shown, f"at most {1 + SHARE}", f"{kept.share:.4f}", str(kept.recordings))
    Console().print(table)


if __name__ == "__main__":
    main()
