"""Penalties, forward and backward, compared with the products that they need and with plain autograd."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import measure, report
from cofire.nets.penalties import correlation_penalty, decov_penalty, weight_correlation_penalty

SHAPES = [(256, 1024), (1024, 256), (128, 2048)]
PRODUCTS, ALL_PAIRS = "two products", "two products, units × units"


def main() -> None:
    for n_samples, n_units in SHAPES:
        x = torch.randn(n_samples, n_units, requires_grad=True)
        ours(x)
        others(x)
    weights()


def ours(x: Tensor) -> None:
    """Time our penalties apart from the others, whose freed memory would slow down whatever runs next."""
    fewer = x.detach() if len(x) < x.shape[1] else x.detach().T
    contenders = {
        PRODUCTS: lambda: (fewer @ fewer.T) @ fewer,
        "correlation_penalty": there_and_back(correlation_penalty, x),
        "debiased": there_and_back(lambda x: correlation_penalty(x, debiased=True), x),
        "decov_penalty": there_and_back(decov_penalty, x),
    }
    goals = {"correlation_penalty": "at most 1.5", "debiased": "at most 1.5"}
    report(f"Penalty, forward and backward, {shape(x)}", measure(contenders, rounds=200), floor=PRODUCTS, goals=goals)


def others(x: Tensor) -> None:
    """Time the strongest pairs, which need the products of all units, and autograd."""
    units = x.detach()
    contenders = {
        ALL_PAIRS: lambda: units @ (units.T @ units),
        "top 10 % of pairs": there_and_back(lambda x: correlation_penalty(x, top=0.1), x),
        "top 0.1 % of pairs": there_and_back(lambda x: correlation_penalty(x, top=0.001), x),
        "autograd, top 10 % by topk": there_and_back(naive_top, x),
        "autograd, z-scores, smaller product": there_and_back(smaller, x),
        "autograd, z-scores, units × units": there_and_back(naive, x),
        "autograd, torch.corrcoef": there_and_back(lambda x: torch.corrcoef(x.T).square().sum() / 2, x),
    }
    report(f"Strongest pairs, and autograd, {shape(x)}", measure(contenders, rounds=20), floor=ALL_PAIRS)


def weights() -> None:
    weight = torch.randn(1024, 1024, requires_grad=True)
    plain = weight.detach()
    contenders = {
        PRODUCTS: lambda: (plain @ plain.T) @ plain,
        "weight_correlation_penalty": there_and_back(weight_correlation_penalty, weight),
        "autograd, normalize, abs": there_and_back(naive_weights, weight),
    }
    report("Weight penalty, 1024 units, fan-in 1024", measure(contenders, rounds=15), floor=PRODUCTS)


def shape(x: Tensor) -> str:
    return f"{x.shape[0]} samples, {x.shape[1]} units"


def there_and_back(penalty: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(penalty(x), x)


def naive(x: Tensor) -> Tensor:
    z = (x - x.mean(0)) / x.std(0)
    return (z.T @ z / (len(x) - 1)).square().sum() / (2 * x.shape[1])


def naive_top(x: Tensor) -> Tensor:
    squares = torch.corrcoef(x.T).triu(1).square().flatten()
    return squares.topk(len(squares) // 20, sorted=False).values.sum() / x.shape[1]


def smaller(x: Tensor) -> Tensor:
    z = (x - x.mean(0)) / x.std(0)
    products = z @ z.T if len(x) < x.shape[1] else z.T @ z
    return (products / (len(x) - 1)).square().sum() / (2 * x.shape[1])


def naive_weights(weight: Tensor) -> Tensor:
    units = torch.nn.functional.normalize(weight)
    return ((units @ units.T).abs().sum() - len(units)) / (len(units) * (len(units) - 1))


if __name__ == "__main__":
    main()
