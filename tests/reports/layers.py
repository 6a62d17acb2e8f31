"""Layers with a given course of their correlation."""

from collections.abc import Sequence

import numpy as np

from cofire.reports.data.run_view import Layer, Series, View
from cofire.reports.findings.run_findings import findings


def layer(
    name: str = "fc",
    nc: Sequence[float] = (0.3,),
    *,
    width: float = 0.01,
    units: int = 64,
    constant: int = 0,
    samples: int = 1000,
    duplicates: Sequence[tuple[int, int, float]] = (),
) -> Layer:
    steps = tuple(range(0, 100 * len(nc), 100))

    def series(values: Sequence[float]) -> Series:
        return Series(steps, tuple(values), samples)

    recorded = {
        "nc": series(nc),
        "nc_debiased": series(nc),
        "nc_low": series([value - width for value in nc]),
        "nc_high": series([value + width for value in nc]),
        "nc_noise_floor": series([0.025] * len(nc)),
        "n_units": series([units] * len(nc)),
        "n_constant": series([constant] * len(nc)),
    }
    arrays = {"duplicates": np.array(duplicates, dtype=float).reshape(-1, 3)}
    return Layer(name, recorded, arrays)


def kinds(*layers: Layer, left_out: dict[str, str] | None = None) -> dict[str, str]:
    return {finding.kind: finding.level for finding in findings(View("run", layers, left_out=left_out or {}))}
