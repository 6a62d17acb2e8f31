"""A few rows of a layer's activations, kept so that a page can draw one unit against another."""

import torch
from torch import Tensor

SAMPLE_ROWS = 256
SAMPLE_UNITS = 128


def evenly_spaced(n_units: int, at_most: int) -> Tensor:
    """Return the indices of all units, or of ``at_most`` of them.

    They include those of half as many, where ``n_units`` exceeds both.
    """
    count = min(n_units, at_most)
    return torch.arange(count) * n_units // max(count, 1)


def chosen_rows(n_samples: int, at_most: int) -> Tensor:
    """Return ``at_most`` random row indices, ascending: the same whenever there are as many to choose from."""
    generator = torch.Generator().manual_seed(0)
    return torch.randperm(n_samples, generator=generator, device="cpu")[:at_most].sort().values


def sample_arrays(x: Tensor) -> dict[str, Tensor]:
    """Return a few samples of (n_samples, n_units), by the name of the array.

    ``sample`` (rows, units): at most 256 random rows of at most 128 evenly spaced units, each unit scaled from 0 at its
    lowest to 1 at its highest value, so that float16 holds large and distant values too. ``sample_range`` (2, units)
    has the lowest and the highest. A constant unit is 0 throughout; one with a value that is not finite is NaN.
    ``sample_units``: their indices.

    Example:
        >>> kept = sample_arrays(torch.tensor([[1e6, 3.0], [1e6 + 4, 3.0]]))
        >>> kept["sample"].tolist(), kept["sample_range"].tolist()
        ([[0.0, 0.0], [1.0, 0.0]], [[1000000.0, 3.0], [1000004.0, 3.0]])
    """
    rows = chosen_rows(len(x), SAMPLE_ROWS).to(x.device)
    units = evenly_spaced(x.shape[1], SAMPLE_UNITS).to(x.device)
    kept = x[:, units][rows].double()
    low, high = (kept.amin(0), kept.amax(0)) if len(kept) else (kept.new_full((len(units),), torch.nan),) * 2
    span = torch.where(high > low, high - low, 1.0)
    return {"sample": ((kept - low) / span).half(), "sample_range": torch.stack([low, high]), "sample_units": units}
