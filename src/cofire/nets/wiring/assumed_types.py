"""The small table of types that is read where the parameters of torch's own layers were not seen making units."""

from torch import nn

# Types, the axis of the units in the output counted from the end, and in the weight.
TYPES: tuple[tuple[tuple[type[nn.Module], ...], int, int], ...] = (
    ((nn.Linear, nn.Bilinear), -1, 0),
    ((nn.Embedding, nn.EmbeddingBag), -1, 1),
    ((nn.ConvTranspose1d,), -2, 1),
    ((nn.ConvTranspose2d,), -3, 1),
    ((nn.ConvTranspose3d,), -4, 1),
    ((nn.Conv1d,), -2, 0),
    ((nn.Conv2d,), -3, 0),
    ((nn.Conv3d,), -4, 0),
    ((nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention), -1, 0),
)


def assumed_axis(module: nn.Module) -> int | None:
    """Return the axis of the units in a module's output by its type, counted from the end; None if it is not known."""
    return next((axis for types, axis, _ in TYPES if isinstance(module, types)), None)
