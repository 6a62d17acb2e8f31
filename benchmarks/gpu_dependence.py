"""Information of all pairs of a layer's units on an accelerator, next to the compiled search on the CPU."""

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from cofire.stats import dependence_score

LAYERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "independent": lambda own, shared: own,
    "independent, after a ReLU": lambda own, shared: own.relu(),
    "correlated at .9, after a ReLU": lambda own, shared: (own + 3 * shared).relu(),
    "correlated at .9": lambda own, shared: own + 3 * shared,
    "correlated at .5, rounded to bfloat16": lambda own, shared: (own + shared).bfloat16(),
}
METHODS = {"independent": ("3h", "ksg", "default")}


def main() -> None:
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        print("no accelerator here")
        return
    for name in LAYERS:
        for method in METHODS.get(name, ("default",)):
            x = layer(name, 1000, 1000)
            here, there = (pairs_per_second(x.to(device), method) for device in ("cpu", accelerator))
            print(f"{name}, {method}: {there:.3g} pairs a second, {there / here:.3g} times the CPU's")
            print(
                f"    largest difference of a pair: {difference(layer(name, 1000, 30), method, accelerator):.1e} nats"
            )


def layer(name: str, n_samples: int, n_units: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(n_samples, 1, generator=generator)
    return LAYERS[name](torch.randn(n_samples, n_units, generator=generator), shared)


def pairs_per_second(x: Tensor, method: str) -> float:
    """All pairs of the layer's units, once they were measured with few of them."""
    dependence_score(x[:, :100], method=method).mean.item()
    start = perf_counter()
    score = dependence_score(x, method=method)
    score.mean.item()  # waits for what is under way
    return score.n_pairs / (perf_counter() - start)


def difference(x: Tensor, method: str, accelerator: torch.device) -> float:
    here, there = (dependence_score(x.to(device), method=method).matrix.cpu() for device in ("cpu", accelerator))
    return (here - there).nan_to_num(0.0).abs().max().item()
