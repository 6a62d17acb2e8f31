"""``--fail-above nc=0.4``: limits that fail a CI job when a layer exceeds them."""

from dataclasses import dataclass
from math import isfinite, nan

from ..nets.redundancy import LEAST_INPUTS, LayerRedundancy, RedundancyReport
from ..nets.redundancy.layer_quantities import JUDGED, measured, value_of
from ..stats._base.quantities import quantity

SHOWN = 5


@dataclass(frozen=True)
class Gate:
    """A limit on one quantity of every layer."""

    name: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """Return the gate that ``name=number`` describes.

        Raises:
            ValueError: for another form, an unknown quantity, or a limit outside its range, which would say nothing.
        """
        name, _, number = text.partition("=")
        known = quantity(name, JUDGED)
        try:
            limit = float(number)
        except ValueError:
            limit = nan
        if not isfinite(limit):
            raise ValueError(f"--fail-above takes a quantity and a number, for example {name}=0.4; got {text!r}")
        if not known.low <= limit <= known.top:
            raise ValueError(
                f"--fail-above: {name} lies between {known.low:g} and {known.top:g}, got the limit {limit:g}"
            )
        return cls(name, limit)

    def broken_by(self, report: RedundancyReport) -> list[tuple[str, float]]:
        """Return the layers above the limit with their values, largest first.

        Raises:
            ValueError: if no layer has the quantity, or its value is unknown in one that should have it. A limit that
                passed on unknown values would pass a broken network.
        """
        layers = [layer for layer in report.layers if measured(layer, self.name)]
        if not layers:
            without_data = not any(layer.activations for layer in report.layers) and self.name != "wc"
            remedy = "; add --data" if without_data else ""
            raise ValueError(f"--fail-above {self.name}: not measured in any layer{remedy}")
        values = [(layer.layer, self._value(layer)) for layer in layers]
        return sorted((found for found in values if found[1] > self.limit), key=lambda found: -found[1])

    def _value(self, layer: LayerRedundancy) -> float:
        if self.name != "wc" and not layer.enough_inputs:
            raise ValueError(
                f"--fail-above {self.name}: {layer.n_inputs} inputs are too few to judge layer {layer.layer!r}; "
                f"run at least {LEAST_INPUTS}"
            )
        value = value_of(layer, self.name)
        if not isfinite(value):
            raise ValueError(
                f"--fail-above {self.name}: unknown in layer {layer.layer!r} (constant or non-finite units, or too few "
                "samples), and limits fail on unknown values"
            )
        return value


def failures(gates: list[Gate], report: RedundancyReport) -> list[str]:
    """Return a sentence for each limit that a layer exceeds."""
    sentences = []
    for gate in gates:
        if broken := gate.broken_by(report):
            layers = ", ".join(f"{name or '(the model)'} ({value:.3g})" for name, value in broken[:SHOWN])
            others = f" and {len(broken) - SHOWN} more layers" if len(broken) > SHOWN else ""
            sentences.append(f"{gate.name} is above {gate.limit:g} in {layers}{others}")
    return sentences
