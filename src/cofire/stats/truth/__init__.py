"""Distributions with known moments, entropy or information, for tests, docs and benchmarks to draw on."""

from cofire.stats.truth.cases import pairs
from cofire.stats.truth.continuous import Exponential, GammaExponential, Uniform, UniformNoise
from cofire.stats.truth.distribution import Affine, Distribution, Independent, Monotone
from cofire.stats.truth.elliptical import MultivariateNormal, MultivariateStudentT
from cofire.stats.truth.mixed import DiscreteTable, NormalWithAtoms, OverlappingUniform, ZeroInflatedPoisson
from cofire.stats.truth.rectified import RectifiedNormal

__all__ = [
    "Affine",
    "DiscreteTable",
    "Distribution",
    "Exponential",
    "GammaExponential",
    "Independent",
    "Monotone",
    "MultivariateNormal",
    "MultivariateStudentT",
    "NormalWithAtoms",
    "OverlappingUniform",
    "RectifiedNormal",
    "Uniform",
    "UniformNoise",
    "ZeroInflatedPoisson",
    "pairs",
]
