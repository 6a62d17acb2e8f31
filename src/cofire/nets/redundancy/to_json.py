"""A redundancy report as plain values for JSON, where null stands for what is not a number."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from torch import Tensor

from ...stats.redundancy.activation_redundancy import Redundancy
from ...stats.redundancy.duplicates import Cluster
from ...stats.redundancy.weight_redundancy import WeightRedundancy
from .layer_quantities import JUDGED
from .layer_redundancy import LayerRedundancy, RedundancyReport

DIGITS = 9
VERSION = 1
"""Version of what `as_plain` returns; it grows when a name in it changes its meaning or goes."""


def as_plain(report: RedundancyReport) -> dict[str, Any]:
    """Return a report as dicts, lists, strings, whole numbers, finite floats and None.

    Example:
        >>> report = RedundancyReport((LayerRedundancy("fc", 3),), {}, threshold=0.95)
        >>> as_plain(report)["layers"][0]["layer"], as_plain(report)["unexplained"]
        ('fc', None)
    """
    return _plain(
        {
            "version": VERSION,
            **_fields(report, "threshold unexplained"),
            "layers": [_layer(layer) for layer in report.by_redundancy],
            "left_out": report.left_out,
            "assumptions": report.assumptions(),
        }
    )


def _layer(layer: LayerRedundancy) -> dict[str, Any]:
    return {
        **_fields(layer, "layer n_units"),
        "n_units_measured": layer.n_measured,
        **_fields(layer, "n_parameters n_samples n_inputs"),
        "quantities": {name: read(layer) for name, read in JUDGED.items()},
        "activations": _activations(layer.activations, layer.width_is_known) if layer.activations else None,
        "weights": _weights(layer.weights) if layer.weights else None,
        "switched_off_units": layer.switched_off,
        "notes": layer.notes,
    }


def _activations(found: Redundancy, width_is_known: bool) -> dict[str, Any]:
    correlation = found.correlation
    return {
        "nc": correlation.mean_abs,
        "nc_debiased": correlation.debiased,
        "nc_interval": correlation.interval,
        "nc_noise_floor": correlation.noise_floor,
        "nc_rms": correlation.rms,
        "nc_mean": correlation.mean,
        **_fields(found, "constant_units nonfinite_units duplicates explained"),
        **_fields(found, "effective_rank_entropy effective_rank_participation effective_rank_debiased"),
        "width": found.width.units if width_is_known else None,
        "width_interval": found.width.interval if width_is_known else None,
        "width_units": found.width.chosen if width_is_known else None,
    }


def _weights(found: WeightRedundancy) -> dict[str, Any]:
    return {
        "wc": found.mean_abs,
        "wc_signed": found.mean,
        "wc_chance": found.chance_level,
        **_fields(found, "fan_in zero_units nonfinite_units duplicates"),
        **_fields(found, "effective_rank_participation effective_rank_entropy effective_rank_error"),
    }


def _fields(found: object, names: str) -> dict[str, Any]:
    """Return some attributes under their own names."""
    return {name: getattr(found, name) for name in names.split()}


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, Cluster):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        # JSON has neither NaN nor infinity.
        return float(f"{value:.{DIGITS}g}") if isfinite(value) else None
    return value
