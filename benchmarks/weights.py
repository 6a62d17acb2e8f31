"""Weight correlation next to one read of the weights and one full float32 product."""

import torch

from benchmarks.harness import measure, report
from cofire.stats import weight_correlation, weight_correlation_quartiles

SHAPES = [(1024, 8192), (4096, 4096)]
PRODUCT = "float32 product"
READ = "one read (norms)"


def main() -> None:
    for n_units, fan_in in SHAPES:
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(n_units, fan_in, generator=generator)
        out = torch.empty(n_units, n_units)
        seconds = measure(
            {
                READ: lambda w=weight: torch.linalg.vector_norm(w, dim=1),
                PRODUCT: lambda w=weight, o=out: torch.mm(w, w.T, out=o),
                "signed": lambda w=weight: weight_correlation(w, absolute=False),
                "absolute": lambda w=weight: weight_correlation(w),
                "quartiles": lambda w=weight: weight_correlation_quartiles(w),
                "normalize, product, abs, mean": lambda w=weight: naive(w),
            },
            rounds=7,
        )
        title = f"Weight correlation, {n_units} units, fan-in {fan_in}"
        report(title, seconds, floor=PRODUCT, goals={"absolute": "≤ .75"})
        report(title, {name: seconds[name] for name in (READ, "signed")}, floor=READ)


def naive(weight: torch.Tensor) -> torch.Tensor:
    unit = torch.nn.functional.normalize(weight)
    n_units = len(weight)
    return ((unit @ unit.T).abs().sum() - n_units) / (n_units * (n_units - 1))
