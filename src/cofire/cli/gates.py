"""``--fail-above nc=0.4``: limits that a network must keep to, for CI."""

from dataclasses import dataclass
from math import isfinite

from ..nets.redundancy import LEAST_INPUTS, LayerRedundancy, RedundancyReport
from ..nets.redundancy.layer_quantities import JUDGED, measured, value_of
from ..stats._base.quantities import quantity

EXCEEDED = 1


@dataclass(frozen=True)
class Gate:
    """A limit on one quantity of every layer."""

    name: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """From ``name=number``.

        Raises:
            ValueError: if it has another form, or the quantity is not known.
        """
        name, equals, limit = text.partition("=")
        try:
            quantity(name, JUDGED)
        except ValueError as error:
            raise ValueError(f"--fail-above: {error}") from None
        if not equals or not isfinite(number := _number(limit)):
            raise ValueError(f"--fail-above takes a quantity and a number, for example {name}=0.4; got {text!r}")
        return cls(name, number)

    def broken_by(self, report: RedundancyReport) -> list[tuple[str, float]]:
        """The layers above the limit, with their values, the worst first.

        Raises:
            ValueError: if no layer has the quantity, or one that should have it has none: what is not known is no pass.
        """
        asked = [layer for layer in report.layers if measured(layer, self.name)]
        if not asked:
            raise ValueError(f"--fail-above {self.name}: it was not measured in any layer{self._remedy(report)}")
        values = [(layer.layer, self._value(layer)) for layer in asked]
        return sorted(((name, value) for name, value in values if value > self.limit), key=lambda found: -found[1])

    def _value(self, layer: LayerRedundancy) -> float:
        if self.name != "wc" and not layer.enough_inputs:
            raise ValueError(
                f"--fail-above {self.name}: too few inputs were run to judge layer {layer.layer!r} by: "
                f"{layer.n_inputs}; run at least {LEAST_INPUTS}"
            )
        value = value_of(layer, self.name)
        if not isfinite(value):
            raise ValueError(
                f"--fail-above {self.name}: it is not known in layer {layer.layer!r} (constant or not finite units, "
                "or too few samples), and what is not known is no pass"
            )
        return value

    def _remedy(self, report: RedundancyReport) -> str:
        if any(layer.activations for layer in report.layers) or self.name == "wc":
            return ""
        return "; it needs --data"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def failures(gates: list[Gate], report: RedundancyReport) -> list[str]:
    """Every limit that is exceeded, in a sentence each."""
    return [
        f"{gate.name} is above {gate.limit:g} in {_listed(broken)}"
        for gate in gates
        if (broken := gate.broken_by(report))
    ]


def _listed(broken: list[tuple[str, float]], most: int = 5) -> str:
    shown = ", ".join(f"{name or '(the model)'} ({value:.3g})" for name, value in broken[:most])
    return shown + (f" and {len(broken) - most} more layers" if len(broken) > most else "")
