"""What Tracker(budget=0.02) costs the training of an MLP, a CNN and a small transformer, next to training alone."""

from collections.abc import Callable
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
    """784-1024-1024-10, batch 128."""
    layers = [nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)]
    return nn.Sequential(*layers), torch.randn(128, 784)


def cnn() -> tuple[nn.Module, Tensor]:
    """Three convolutions and a dense layer, 16 images of 32 by 32."""
    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 16, 10)]
    return nn.Sequential(*layers), torch.randn(16, 3, 32, 32)


def transformer() -> tuple[nn.Module, Tensor]:
    """Two blocks of width 128, 8 texts of 64 tokens."""
    block = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True, dropout=0.0)
    return nn.TransformerEncoder(block, 2, enable_nested_tensor=False), torch.randn(8, 64, 128)


def training(model: nn.Module, x: Tensor, tracker: Tracker | None) -> Callable[[], None]:
    """A block of steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def run() -> None:
        for _ in range(BLOCK):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            if tracker is not None:
                tracker.step()

    return run


def paired(plain: Callable[[], None], followed: Callable[[], None], *, seconds: float) -> tuple[float, float, float]:
    """Seconds a block without, the ratio of all time with to all time without, and that ratio's standard error.

    Recordings are rare, so a median of blocks would not see them. Blocks take turns, which goes first changes.
    """
    keep_memory()
    plain(), followed()
    pairs: list[tuple[float, float]] = []
    end = perf_counter() + seconds
    while perf_counter() < end:
        first, second = (plain, followed) if len(pairs) % 2 else (followed, plain)
        times = timed(first), timed(second)
        pairs.append(times if len(pairs) % 2 else times[::-1])
    without, together = (sum(column) for column in zip(*pairs, strict=True))
    ratio = together / without
    rest = [b - ratio * a for a, b in pairs]
    return without / len(pairs), ratio, stdev(rest) * len(pairs) ** 0.5 / without


def timed(block: Callable[[], None]) -> float:
    start = perf_counter()
    block()
    return perf_counter() - start


def main(seconds: float = 20.0) -> None:
    """Something is due at every step."""
    table = Table(title=f"Tracker(budget={SHARE}), every step due, {seconds:g} s each", title_justify="left")
    for column in (
        "",
        "training, ms a step",
        "ratio with",
        "± standard error",
        "goal",
        "own books",
        "recordings",
        "units",
    ):
        table.add_column(column)
    for make in (mlp, cnn, transformer):
        torch.manual_seed(0)
        (plain, x), (followed, _) = make(), make()
        with Tracker(followed, [correlation()], every=1, budget=SHARE, sink=len) as tracker:
            block, ratio, error = paired(training(plain, x, None), training(followed, x, tracker), seconds=seconds)
            kept = tracker.overhead
        shown = f"{1e3 * block / BLOCK:.2f}", f"{ratio:.4f}", f"{error:.4f}", f"at most {1 + SHARE}"
        books = f"{kept.share:.4f}", str(kept.recordings), str(kept.units)
        table.add_row(make.__name__, *shown, *books)
    Console().print(table)


if __name__ == "__main__":
    main()
