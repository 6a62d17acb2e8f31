"""Mean |rho| of a layer against one full float32 product and what users would pick instead."""

import numpy as np
import torch

from benchmarks.harness import measure, report
from cofire.stats import Moments, neuronal_correlation


def main(n: int = 4096, d: int = 4096) -> None:
    """Time the stream, the in-memory path and the peers in one run."""
    x = torch.randn(n, d)
    product = torch.empty(d, d)

    def stream() -> float:
        m = Moments(compute_dtype=torch.float32)
        for batch in x.split(512):
            m = m.update(batch)
        return m.summary().mean_abs

    contenders = {
        "float32 product": lambda: torch.mm(x.T, x, out=product),
        "Moments, one update": lambda: Moments(compute_dtype=torch.float32).update(x).summary().mean_abs,
        "Moments, batches of 512": stream,
        "neuronal_correlation": lambda: neuronal_correlation(x, compute_dtype=torch.float32).mean_abs,
        "torch.corrcoef, abs, sum": lambda: torch.corrcoef(x.T).abs().sum(),
        "numpy.corrcoef, abs, sum": lambda: np.abs(np.corrcoef(x.numpy().T)).sum(),
    }
    goals = {"Moments, one update": "at most 0.80"}
    report(f"Mean |rho|, {n} samples, {d} units", measure(contenders), floor="float32 product", goals=goals)
