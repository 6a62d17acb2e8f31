"""The distribution of |ρ| over a layer's pairs of units, at each step that recorded it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import nan

import numpy as np

from ..data.formatting import percent, plural
from ..data.run_view import Layer


@dataclass(frozen=True, slots=True)
class Histogram:
    """The distribution of a layer's |ρ| over equal bins of [0, 1].

    Attributes:
        layer: its name.
        n_pairs: the number of pairs at the last recording.
        shares: the share of pairs in each bin at the last recording.
        expected: the share that independent units would show; empty if not known.
        counts: the number of pairs in each bin, by step.
    """

    layer: str
    n_pairs: int
    shares: tuple[float, ...]
    expected: tuple[float, ...]
    counts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def top(self) -> float:
        """Return the largest share at any step."""
        shares = [max(counts) / max(sum(counts), 1) for counts in self.counts.values()]
        return max([*shares, *self.shares, *self.expected, 0.01])

    @property
    def alternative(self) -> str:
        """Return the histogram in words."""
        upper = sum(self.shares[len(self.shares) // 2 :])
        null = sum(self.expected[len(self.expected) // 2 :]) if self.expected else nan
        return (
            f"{self.layer}: {percent(upper)} of {plural(self.n_pairs, 'pair')} have |ρ| above 0.5; "
            f"independent units would show {percent(null)}."
        )


def histograms(layers: Iterable[Layer]) -> list[Histogram]:
    """Return the distribution of |ρ| in each layer that has at least one pair."""
    return [_histogram(layer) for layer in layers if np.sum(layer.arrays.get("histogram", 0)) > 0]


def _histogram(layer: Layer) -> Histogram:
    counts = np.asarray(layer.arrays["histogram"]).reshape(-1)
    return Histogram(
        layer.name,
        int(counts.sum()),
        tuple(float(share) for share in counts / counts.sum()),
        expected_shares(layer.n_samples, len(counts)),
        {step: tuple(np.asarray(one, int).reshape(-1).tolist()) for step, one in layer.at_steps("histogram").items()},
    )


def expected_shares(n_samples: int | None, n_bins: int) -> tuple[float, ...]:
    r"""Compute the share of pairs that independent Gaussian units put into each bin of \|r\| over [0, 1].

    .. math:: P(|r| \le t) = I_{t^2}\left(\tfrac12, \tfrac{n-2}{2}\right)

    Empty for fewer than three samples, where r has no density.

    Example:
        >>> [round(share, 3) for share in expected_shares(4, 2)]  # uniform on [0, 1] for four samples
        [0.5, 0.5]
    """
    from scipy.special import betainc

    if n_samples is None or n_samples < 3:
        return ()
    edges = np.linspace(0, 1, n_bins + 1)
    return tuple(float(share) for share in np.diff(betainc(0.5, (n_samples - 2) / 2, edges**2)))
