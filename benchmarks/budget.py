"""What Tracker(budget=0.02) costs the training of an MLP, a CNN and a small transformer, next to training alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.harness import measure, report
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


def main(rounds: int = 8) -> None:
    """Blocks of steps of each contender in turn; something is due at every step."""
    for make in (mlp, cnn, transformer):
        torch.manual_seed(0)
        (plain, x), (followed, _) = make(), make()
        with Tracker(followed, [correlation()], every=1, budget=SHARE, sink=len) as tracker:
            contenders = {"training": training(plain, x, None), "with a budget": training(followed, x, tracker)}
            seconds = measure(contenders, rounds=rounds)
            goals = {"with a budget": f"at most {1 + SHARE}"}
            report(f"{make.__name__}: {BLOCK} steps, every step due", seconds, floor="training", goals=goals)
            print(tracker.overhead)


if __name__ == "__main__":
    main()
