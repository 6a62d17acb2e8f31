"""Output layers, defined once for reports, scores and surgery.

The units of an *output layer* are the network's outputs. The task fixes their number: such a layer is never too wide,
and surgery cannot cut it. A model's wiring shows which layers these are; elsewhere the order of the layers tells.
"""

from collections.abc import Sequence

UNITS_ARE_OUTPUTS = "its units are the network's outputs"
"""Why an output layer cannot be cut."""


def is_output_layer(layer: str, layers: Sequence[str]) -> bool:
    """Return whether a layer is the output layer, judged by order alone: the last one that has weights.

    Args:
        layer: name of a layer, or of a container that holds the output layer.
        layers: names of all layers with weights, in the model's order.

    Example:
        >>> layers = ["encoder.0", "encoder.2", "head"]
        >>> [name for name in layers if is_output_layer(name, layers)]
        ['head']
    """
    return bool(layers) and f"{layers[-1]}.".startswith(f"{layer}.")
