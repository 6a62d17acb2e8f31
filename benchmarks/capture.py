"""Cost of capturing in a training step of 784-1024-1024-10 with batches of 128, into states and as copies."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from benchmarks.harness import measure, report
from cofire import capture

STEPS = 20


class Nothing:
    """A state that keeps nothing, so that the capture alone is measured."""

    def update(self, rows: Tensor) -> None:
        """Drop the rows."""


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(128, 784), torch.randint(10, (128,))

    def steps(around: Callable[[], AbstractContextManager[object]]) -> Callable[[], None]:
        def run() -> None:
            with around():
                for _ in range(STEPS):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x), y).backward()
                    optimizer.step()

        return run

    contenders = {
        "training": steps(nullcontext),
        "capture, 2 hidden layers": steps(lambda: capture(model, ["0", "2"], into=Nothing)),
        "capture, pre and post of 3": steps(lambda: capture(model, [nn.Linear, "0:pre", "2:pre"], into=Nothing)),
        "capture, all layers kept": steps(lambda: capture(model)),
    }
    report("Capture, 20 training steps", measure(contenders, rounds=15), floor="training", goals={})


if __name__ == "__main__":
    main()
