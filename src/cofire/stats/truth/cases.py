"""Pairs of units with known mutual information, for tests and benchmarks."""

import torch

from .continuous import Exponential, GammaExponential, Uniform, UniformNoise
from .distribution import Distribution, Independent, Monotone, float64
from .elliptical import MultivariateNormal, MultivariateStudentT
from .mixed import DiscreteTable, NormalWithAtoms, OverlappingUniform, ZeroInflatedPoisson
from .rectified import RectifiedNormal


def pairs() -> dict[str, Distribution]:
    """Return pairs of units by name: continuous, heavy-tailed, discrete and mixed.

    Example:
        >>> round(pairs()["normal 0.6"].mutual_information, 4)
        0.2231
    """
    normals = {f"normal {rho}": MultivariateNormal.pair(rho) for rho in (0.0, 0.3, 0.6, 0.9, -0.6)}
    rectified = {f"rectified {rho}": RectifiedNormal(rho) for rho in (0.0, 0.6, 0.9, -0.6)}
    return {
        **normals,
        "independent uniform": Uniform(2),
        "independent exponential": Exponential(2),
        "independent uniform and exponential": Independent([Uniform(), Exponential()]),
        "student-t 3": MultivariateStudentT.pair(3, 0.0),
        "student-t 5, 0.6": MultivariateStudentT.pair(5, 0.6),
        "normal noise": MultivariateNormal.additive_noise(0.5),
        "uniform noise": UniformNoise(0.25),
        "wide uniform noise": UniformNoise(1.0),
        "gamma-exponential 0.5": GammaExponential(0.5),
        "gamma-exponential 3": GammaExponential(3.0),
        "monotone maps": Monotone(MultivariateNormal.pair(0.9), [torch.exp, lambda y: -(y**3)]),
        **rectified,
        "discrete table": DiscreteTable(float64([[0.3, 0.1, 0.05], [0.05, 0.2, 0.3]])),
        "independent discrete": DiscreteTable(float64([[1 / 12] * 3] * 4)),
        "overlapping uniform": OverlappingUniform(5),
        "normal with atoms": NormalWithAtoms(),
        "zero-inflated poisson": ZeroInflatedPoisson(0.15),
    }
