"""Pairs of units whose correlation and information were both recorded, and what one can say of each."""

from dataclasses import dataclass
from math import isinf

import numpy as np
import torch

from ...stats.information.coefficient import information_coefficient
from .formatting import number
from .run_view import Layer


@dataclass(frozen=True, slots=True)
class Pair:
    """Two units: ρ, their information in nats, and by how much the latter tells another story (0: it does not)."""

    first: int
    second: int
    rho: float
    information: float
    difference: float

    @property
    def sentence(self) -> str:
        """Both numbers on one scale.

        Example:
            >>> Pair(3, 17, -0.1, 0.42, 0.65).sentence
            '3 and 17: ρ −0.10, information 0.42 nats (as |ρ| 0.75)'
            >>> Pair(3, 17, 0.5, float("inf"), 0.5).sentence
            '3 and 17: ρ 0.50, one determines the other'
        """
        told = f"{self.first} and {self.second}: ρ {number(self.rho, 2)},"
        if isinf(self.information):
            return f"{told} one determines the other"
        coefficient = float(information_coefficient(torch.tensor(max(self.information, 0.0))))
        return f"{told} information {number(self.information, 2)} nats (as |ρ| {number(coefficient, 2)})"


def pairs_of(layer: Layer) -> list[Pair]:
    """All pairs of a layer that have an information; none where it was not recorded."""
    arrays = layer.arrays
    if "dependence" not in arrays:
        return []
    information = np.asarray(arrays["dependence"], dtype=np.float64)
    rho, difference = (np.asarray(arrays[f"dependence_{name}"], np.float64) for name in ("correlation", "difference"))
    units = np.asarray(arrays["dependence_units"]).reshape(-1).tolist()
    rows, columns = np.nonzero(np.triu(~np.isnan(information), 1))
    found = (rows, columns, rho[rows, columns], information[rows, columns], np.nan_to_num(difference)[rows, columns])
    return [
        Pair(units[row], units[column], r, nats, apart)
        for row, column, r, nats, apart in zip(*(values.tolist() for values in found), strict=True)
    ]
