"""The cost of a tracker for training 784-1024-1024-10, batch 128, recorded every 10 steps, next to plain hooks."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import measure, report
from cofire import Tracker
from cofire.record import EverySteps, Measure, correlation, epsilon, weight_correlation

EVERY = 10
Tick = Callable[[], object]


def nothing(x: Tensor) -> float:
    """Return 0: a statistic without cost leaves the tracker's own."""
    return 0.0


class Hooks:
    """Hooks as users write them: copies of the layers' outputs, passed to a function at every tenth step."""

    def __init__(self, model: nn.Sequential, take: Callable[[Tensor], object]) -> None:
        self.model, self.take, self.step = model, take, 0
        self.copies: list[Tensor] = []
        self.handles: list[torch.utils.hooks.RemovableHandle] = []

    def __call__(self) -> None:
        """Count a step; handle the copies if it is a tenth one."""
        self.step += 1
        for copy in self.copies:
            self.take(copy)
        for handle in self.handles:
            handle.remove()
        self.copies, self.handles = [], []
        if (self.step + 1) % EVERY == 0:
            layers = (self.model[place] for place in (1, 3, 4))
            self.handles = [layer.register_forward_hook(self.copy) for layer in layers]

    def copy(self, module: nn.Module, args: object, output: Tensor) -> None:
        """Copy an output; this is the hook."""
        self.copies.append(output.detach().clone())


def training(make: type[torch.optim.Optimizer], tick_of: Callable[[nn.Sequential], Tick]) -> Callable[[], None]:
    """Return a function that trains ten steps, one of them recorded."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    optimizer = make(model.parameters(), lr=1e-3)  # pyright: ignore[reportCallIssue] - every optimizer takes it
    x, y, tick = torch.randn(128, 784), torch.randint(10, (128,)), tick_of(model)

    def run() -> None:
        for _ in range(EVERY):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            tick()

    return run


def main(rounds: int = 40) -> None:
    """Time ten steps of each contender per round, with SGD and with Adam."""
    with tempfile.TemporaryDirectory() as folder:
        for make in (torch.optim.SGD, torch.optim.Adam):
            seconds = measure(contenders(make, Path(folder) / make.__name__), rounds=rounds)
            goals = {"tracker, correlation": "at most 1.05"}
            report(f"Tracker, {EVERY} steps with {make.__name__}", seconds, floor="training", goals=goals)


def contenders(make: type[torch.optim.Optimizer], folder: Path) -> dict[str, Callable[[], None]]:
    """Return the contenders; each trains its own network."""
    measures = {
        "tracker, no statistic": [Measure(nothing, sites=nn.Linear)],
        "tracker, correlation": [correlation()],
        "tracker, correlation, its arrays each time": [replace(correlation(), arrays_every=EverySteps(1))],
        "tracker, correlation, epsilon": [correlation(), epsilon()],
        "tracker, correlation, epsilon, weights": [correlation(), epsilon(), weight_correlation()],
    }
    tracked = {
        name: training(make, lambda model, n=name, m=several: Tracker(model, m, run=folder / n, every=EVERY).step)
        for name, several in measures.items()
    }
    return {
        "training": training(make, lambda model: lambda: None),
        **tracked,
        "hooks that copy": training(make, lambda model: Hooks(model, len)),
        "hooks, torch.corrcoef, abs, mean": training(
            make, lambda model: Hooks(model, lambda x: torch.corrcoef(x.T).abs().mean().item())
        ),
    }


if __name__ == "__main__":
    main()
