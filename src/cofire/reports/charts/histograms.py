"""How the |ρ| of a layer's pairs are spread, at each step where that was recorded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..data.formatting import percent, plural
from ..data.run_view import Layer


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a layer's |ρ| are spread: the share of pairs in each bin of [0, 1], and the null's.

    ``counts`` are the pairs in each bin by step; the shares are those of the last.
    """

    layer: str
    n_pairs: int
    shares: tuple[float, ...]
    expected: tuple[float, ...]
    counts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def top(self) -> float:
        """The largest share at any step."""
        shares = [max(counts) / max(sum(counts), 1) for counts in self.counts.values()]
        return max([*shares, *self.shares, *self.expected, 0.01])

    @property
    def alternative(self) -> str:
        """The histogram in words."""
        upper = sum(self.shares[len(self.shares) // 2 :])
        null = sum(self.expected[len(self.expected) // 2 :]) if self.expected else float("nan")
        return (
            f"{self.layer}: {percent(upper)} of {plural(self.n_pairs, 'pair')} have |ρ| above 0.5; "
            f"independent units would show {percent(null)}."
        )


def histograms(layers: Iterable[Layer]) -> list[Histogram]:
    """The spread of |ρ| in each layer that has at least one pair."""
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
    r"""The share of pairs that independent Gaussian units put in each bin of \|r\| over [0, 1].

    .. math:: P(|r| \le t) = I_{t^2}\left(\tfrac12, \tfrac{n-2}{2}\right)

    Empty below three samples, where r has no density.

    Example:
        >>> [round(share, 3) for share in expected_shares(4, 2)]  # uniform on [0, 1] for four samples
        [0.5, 0.5]
    """
    from scipy.special import betainc

    if n_samples is None or n_samples < 3:
        return ()
    edges = np.linspace(0, 1, n_bins + 1)
    return tuple(float(share) for share in np.diff(betainc(0.5, (n_samples - 2) / 2, edges**2)))
