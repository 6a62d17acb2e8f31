"""Distributions with known moments, entropy or information, for tests, docs and benchmarks."""

from ..._public import public
from .cases import pairs
from .continuous import Exponential, GammaExponential, Uniform, UniformNoise
from .distribution import Affine, Distribution, Independent, Monotone
from .elliptical import MultivariateNormal, MultivariateStudentT
from .mixed import DiscreteTable, NormalWithAtoms, OverlappingUniform, ZeroInflatedPoisson
from .rectified import RectifiedNormal

__all__ = [
    "Affine", "DiscreteTable", "Distribution", "Exponential", "GammaExponential", "Independent", "Monotone",
    "MultivariateNormal", "MultivariateStudentT", "NormalWithAtoms", "OverlappingUniform", "RectifiedNormal",
    "Uniform", "UniformNoise", "ZeroInflatedPoisson", "pairs",
]  # fmt: skip

__getattr__, __dir__ = public(__name__)
