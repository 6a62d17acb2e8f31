"""What `shrink` can do with a network, and what it would cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from torch import nn

from ..layer_names import unwrap
from .candidates import Candidates, prepared
from .data import divided, in_memory, n_samples
from .search import Search
from .shrunk import Point
from .watching import apart


@dataclass(frozen=True, eq=False)
class Forecast:
    """What `shrink` can do with a network.

    Attributes:
        layers: the layers whose units can be cut.
        left: why those of others can't be.
        spare: how many units of each group others explain exactly, so that they can go with no error beyond rounding.
        spare_share: share of the parameters that stays without them.
        curve: the expected error of the outputs by the share of the parameters that stays, largest first.
        n_parameters: of the network.
        n_samples: how many samples it was learned from, and predicted on.
    """

    layers: frozenset[str]
    left: Mapping[str, str]
    spare: Mapping[str, int]
    spare_share: float
    curve: Sequence[Point]
    n_parameters: int
    n_samples: tuple[int, int]

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values for JSON."""
        return {
            "parameters": self.n_parameters,
            "layers": sorted(self.layers),
            "left": dict(self.left),
            "spare": {"units": dict(self.spare), "share": self.spare_share},
            "curve": [{"share": one.share, "predicted_error": one.predicted} for one in self.curve],
            "samples": dict(zip(("fit", "check"), self.n_samples, strict=True)),
        }


def forecast(model: nn.Module, data: Any, *, seed: int = 0) -> Forecast:
    """Say what `shrink` can cut and predict what that costs, without building the smaller network.

    Args:
        model: the network; neither it nor its buffers change.
        data: inputs, as for `shrink`; a third of them is held out for the predictions.
        seed: of the random projections that measure the outputs' sensitivity.

    Returns:
        Errors are rms changes of the outputs over their standard deviation, to first order in the weights' changes.

    Raises:
        ValueError: for data that can't be used, or outputs that are not finite or have no gradient.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> found = forecast(model, torch.randn(600, 4))
        >>> sorted(found.layers), found.left, found.spare
        (['0'], {'2': "its units are the network's outputs"}, {})
        >>> found.curve[0].share <= 0.9, found.curve[0].predicted < found.curve[-1].predicted
        (True, True)
    """
    whole = unwrap(model)
    with apart(whole):
        batches = in_memory(data)
        held, fit = divided(batches, of=3)
        samples = n_samples(fit), n_samples(held)
        if samples[0] < 2 or not samples[1]:
            raise ValueError(f"a forecast needs at least 3 samples, got {n_samples(batches)}")
        n = sum(one.numel() for one in whole.parameters())
        with prepared(whole) as net:
            found = Candidates.of(net, whole, fit, held, set(), per="parameters", uniform=False, round_to=1)
            left = dict(found.left)
            if not found.lots:
                return Forecast(frozenset(), left, {}, 1.0, (), n, samples)
            found.learn(seed)
            layers = frozenset(layer for one in found.groups for layer in one.layers)
            search = Search(found, None)
            curve = tuple(one for one in search.curve() if one.predicted is not None and isfinite(one.predicted))
            spare, share = search.spare()
            return Forecast(layers, left, spare, share, curve, n, samples)
