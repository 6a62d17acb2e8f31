"""Pairs of units whose correlation and mutual information were both recorded."""

from dataclasses import dataclass
from math import isinf

import numpy as np
import torch

from ...stats.information.coefficient import information_coefficient
from .formatting import number
from .run_view import Layer


@dataclass(frozen=True, slots=True)
class Pair:
    """Two units with ρ, their mutual information in nats, and by how much the two disagree (0 if not beyond chance)."""

    first: int
    second: int
    rho: float
    information: float
    difference: float

    @property
    def sentence(self) -> str:
        """Return both numbers on one scale.

        Example:
            >>> Pair(3, 17, -0.1, 0.42, 0.65).sentence
            '3 and 17: ρ −0.10, information 0.42 nats (as |ρ| 0.75)'
            >>> Pair(3, 17, 0.5, float("inf"), 0.5).sentence
            '3 and 17: ρ 0.50, one determines the other'
        """
        start = f"{self.first} and {self.second}: ρ {number(self.rho, 2)},"
        if isinf(self.information):
            return f"{start} one determines the other"
        coefficient = float(information_coefficient(torch.tensor(max(self.information, 0.0))))
        return f"{start} information {number(self.information, 2)} nats (as |ρ| {number(coefficient, 2)})"


def pairs_of(layer: Layer) -> list[Pair]:
    """Return all pairs of a layer whose information is known; none if dependence was not recorded."""
    arrays = layer.arrays
    if "dependence" not in arrays:
        return []
    information = np.asarray(arrays["dependence"], dtype=np.float64)
    rho, difference = (np.asarray(arrays[f"dependence_{name}"], np.float64) for name in ("correlation", "difference"))
    units = np.asarray(arrays["dependence_units"]).reshape(-1).tolist()
    rows, columns = np.nonzero(np.triu(~np.isnan(information), 1))
    # Each array becomes Python numbers at once: reading NumPy scalars one pair at a time is slow in wide layers.
    found = (rows, columns, rho[rows, columns], information[rows, columns], np.nan_to_num(difference)[rows, columns])
    return [
        Pair(units[row], units[column], r, nats, apart)
        for row, column, r, nats, apart in zip(*(values.tolist() for values in found), strict=True)
    ]
