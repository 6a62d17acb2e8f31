"""Weight correlation next to one read of the weights and one full float32 product."""

import torch

from benchmarks.harness import measure, report
from cofire.stats import weight_correlation, weight_correlation_quartiles, weight_correlation_summary

SHAPES = [(1024, 8192), (4096, 4096)]
PRODUCT = "float32 product"
READ = "one read: weight.sum()"


def main() -> None:
    for n_units, fan_in in SHAPES:
        weight = torch.randn(n_units, fan_in, generator=torch.Generator().manual_seed(0))
        against_a_read(f"Weight correlation, {n_units} units, fan-in {fan_in}", weight)
        against_a_product(f"Weight correlation, {n_units} units, fan-in {fan_in}", weight)


def against_a_read(title: str, weight: torch.Tensor) -> None:
    table = weight.T.contiguous()  # an embedding's: the units are the columns
    seconds = measure(
        {
            READ: weight.sum,
            "one read: norms": lambda: torch.linalg.vector_norm(weight, dim=1),
            "signed": lambda: weight_correlation(weight, absolute=False),
            "signed, of an embedding": lambda: weight_correlation(table, absolute=False, unit_axis=1),
            "normalize, sum, square (float32)": lambda: torch.nn.functional.normalize(weight).sum(0).square().sum(),
        },
        rounds=25,
    )
    report(title, seconds, floor=READ, goals={"signed": "≤ 2"})


def against_a_product(title: str, weight: torch.Tensor) -> None:
    out = weight.new_empty(len(weight), len(weight))
    seconds = measure(
        {
            PRODUCT: lambda: torch.mm(weight, weight.T, out=out),
            "absolute": lambda: weight_correlation(weight),
            "quartiles": lambda: weight_correlation_quartiles(weight),
            "summary": lambda: weight_correlation_summary(weight),
            "normalize, product, abs, mean": lambda: naive(weight),
        },
        rounds=7,
    )
    report(title, seconds, floor=PRODUCT, goals={"absolute": "≤ .75"})


def naive(weight: torch.Tensor) -> torch.Tensor:
    unit = torch.nn.functional.normalize(weight)
    n_units = len(weight)
    return ((unit @ unit.T).abs().sum() - n_units) / (n_units * (n_units - 1))
