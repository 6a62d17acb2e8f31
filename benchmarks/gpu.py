"""On a GPU, where the samples are: every kind of statistic next to a product of its size and to plain torch."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import measure, report
from benchmarks.penalties import naive, there_and_back
from cofire.nets.penalties import correlation_penalty
from cofire.stats import (
    HighDimensionWarning,
    Moments,
    entropy_knn,
    kernel_width_scan,
    neuronal_correlation,
    weight_correlation,
    weight_correlation_quartiles,
)

SINGLE, PRODUCT = torch.float32, "float32 product"


def main() -> None:
    """Nothing where there is no GPU."""
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to measure")
        return
    warnings.simplefilter("ignore", HighDimensionWarning)
    print(torch.cuda.get_device_name())
    with torch.device("cuda"):
        for width in (1024, 4096, 16384):
            correlation(4096, width)
        weights(4096, 4096)
        penalty(256, 1024)
        widths(5000, 1024)
        for d in (2, 8, 64):
            entropy(10_000, d)


def correlation(n: int, d: int) -> None:
    x, product = torch.randn(n, d), torch.empty(d, d)

    def stream(dtype: torch.dtype) -> float:
        m = Moments(compute_dtype=dtype)
        for batch in x.split(512):
            m = m.update(batch)
        return m.summary().mean_abs

    contenders = {
        PRODUCT: lambda: torch.mm(x.T, x, out=product),
        "Moments, one update": lambda: Moments(compute_dtype=SINGLE).update(x).summary().mean_abs,
        "Moments, batches of 512": lambda: stream(SINGLE),
        "Moments, batches of 512, float64": lambda: stream(torch.float64),
        "neuronal_correlation": lambda: neuronal_correlation(x, compute_dtype=SINGLE).mean_abs,
        "neuronal_correlation, float64": lambda: neuronal_correlation(x).mean_abs,
        "torch.corrcoef, abs, sum": lambda: torch.corrcoef(x.T).abs().sum().item(),
        "torch.corrcoef, abs, sum, float64": lambda: torch.corrcoef(x.T.double()).abs().sum().item(),
    }
    report(f"Mean |rho|, {n} samples, {d} units", measure(contenders), floor=PRODUCT)
    for name, run in contenders.items():
        print(f"  most memory beyond the input, in 4 d²: {peak(run) / (4 * d * d):.2f} {name}")


def peak(run: Callable[[], object]) -> int:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return torch.cuda.max_memory_allocated() - before


def weights(n_units: int, fan_in: int) -> None:
    weight = torch.randn(n_units, fan_in)
    out = weight.new_empty(n_units, n_units)
    contenders = {
        PRODUCT: lambda: torch.mm(weight, weight.T, out=out),
        "one read: weight.sum()": weight.sum,
        "signed": lambda: weight_correlation(weight, absolute=False),
        "absolute": lambda: weight_correlation(weight),
        "quartiles": lambda: weight_correlation_quartiles(weight),
    }
    report(f"Weight correlation, {n_units} units, fan-in {fan_in}", measure(contenders, rounds=9), floor=PRODUCT)


def penalty(n_samples: int, n_units: int) -> None:
    x = torch.randn(n_samples, n_units, requires_grad=True)
    fewer = x.detach()
    contenders = {
        "two products": lambda: (fewer @ fewer.T) @ fewer,
        "correlation_penalty": there_and_back(correlation_penalty, x),
        "autograd, z-scores, units × units": there_and_back(naive, x),
    }
    report(f"Penalty, {n_samples} samples, {n_units} units", measure(contenders, rounds=20), floor="two products")


def widths(n: int, d: int) -> None:
    x, labels, scales = torch.randn(n, d), torch.randint(0, 10, (n,)), torch.logspace(0.5, 2.5, 50).cpu()
    same, out = (labels[:, None] == labels).double(), torch.empty(n, n)

    def loop() -> list[Tensor]:
        squares = torch.cdist(x, x).square().double()
        kernels = (torch.exp(squares / (-2 * float(scale) ** 2)) for scale in scales)
        return [(kernel * same).sum() / kernel.norm() - kernel.mean(1).log().mean() for kernel in kernels]

    contenders = {
        PRODUCT: lambda: torch.mm(x, x.T, out=out),
        "kernel_width_scan": lambda: kernel_width_scan(x, scales, labels),
        "a loop over kernels, float64": loop,
    }
    report(f"50 widths, {n} samples, {d} units", measure(contenders, rounds=3), floor=PRODUCT)


def entropy(n: int, d: int) -> None:
    x = torch.randn(n, d, dtype=torch.float64)
    contenders = {
        "entropy_knn": lambda: entropy_knn(x),
        "entropy_knn, whitened": lambda: entropy_knn(x, whiten=True),
        "cdist, topk": lambda: torch.cdist(x, x).topk(4, largest=False).values[:, 3].log().mean().item(),
    }
    report(f"Entropy, {n} samples, {d} units", measure(contenders, rounds=3), floor="cdist, topk")
