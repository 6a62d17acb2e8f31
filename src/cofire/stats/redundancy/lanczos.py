"""The entropy of a large matrix's singular values by a few products with it, none of them with itself."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .._base.scaling import power_of_two

N_PROBES = 8
N_LEADING = 64
SUBSPACE_STEPS = 2
INVARIANT = 0.1
"""A leading vector is one if the Gram matrix moves it off its direction by at most this part."""
N_STEPS = (24, 48, 96)
"""Lanczos steps after which the quadrature is looked at, until it is sure enough."""
SURE = 0.5
"""It is, when its two rules differ by at most this part of the standard error, or of `CLOSE`."""
CLOSE = 0.005
PLAIN = 2.0**40
"""Largest magnitude, and the inverse of the smallest, whose squares need no scaling in float32."""


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    error: float


def effective_rank_entropy_lanczos(matrix: Tensor, *, seed: int = 0) -> Estimate:
    r"""Exponential of the entropy of the singular values' shares, by stochastic Lanczos quadrature.

    .. math:: H = \log S - \frac{1}{S} \sum_k σ_k \log σ_k, \qquad S = \sum_k σ_k

    The largest singular values, which would scatter both sums most, are taken off by subspace iteration. Of the rest
    each sum is estimated from a few random vectors, and for each of these by quadrature after some steps of Golub and
    Kahan's bidiagonalization: by the rule of Gauss, which is above for a sum of roots, and by that of Radau with a node
    at 0, which is below. Their middle is taken; more steps are made where they are far apart. As
    :func:`~cofire.stats.effective_rank_entropy` of all singular values, for matrices of which these are too many.

    Args:
        matrix: shape (n, m), float32 or float64, finite.
        seed: of the random vectors; the global generator is left alone.

    Returns:
        Estimate with its standard error, of the random vectors, of the rules (half their distance, which counts where
        singular values decay by some percent from one to the next) and of rounding; NaN for a matrix of zeros.

    Bias:
        That of the middle of two rules, within the error.

    References: Ubaru, Chen, Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature"; Meyer, Musco,
        Musco, Woodruff 2021, "Hutch++"; Golub, Meurant 2010, "Matrices, Moments and Quadrature".

    Example:
        >>> found = effective_rank_entropy_lanczos(torch.eye(500))
        >>> round(found.value, 3), found.error < 0.01
        (500.0, True)
    """
    tall = _plainly_scaled(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T)
    # by rows: asked for in float64 as a whole, torch would copy the matrix
    scale = float(torch.linalg.vector_norm(tall, dim=1).double().norm()) / math.sqrt(tall.shape[1])
    if not 0 < scale < math.inf:
        return Estimate(math.nan, math.nan)
    generator = torch.Generator().manual_seed(seed)
    largest, leading = _leading(tall, _signs(tall, min(N_LEADING, tall.shape[1]), generator))
    found = Estimate(math.nan, math.nan)
    for bidiagonal in _bidiagonals(tall, _signs(tall, N_PROBES, generator), leading):
        gauss, radau = (_estimate(largest / scale, rule / scale, tall) for rule in _rules(bidiagonal))
        apart = abs(gauss.value - radau.value)
        found = Estimate((gauss.value + radau.value) / 2, math.hypot(gauss.error, apart / 2))
        if apart < SURE * max(gauss.error, CLOSE * gauss.value):
            break
    return found


def _plainly_scaled(matrix: Tensor) -> Tensor:
    """The matrix, or if its squares could leave the range of its type, a copy in a scale of about 1."""
    peak = torch.stack(torch.aminmax(matrix)).abs().max()
    return matrix if 1 / PLAIN < peak < PLAIN or peak == 0 else matrix / power_of_two(peak)


def _signs(tall: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Random signs, shape (number, n)."""
    signs = torch.randint(0, 2, (number, tall.shape[1]), generator=generator, device="cpu")
    return (signs * 2 - 1).to(tall)


def _leading(tall: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The largest singular values, float64, and their right vectors, shape (n_leading, n): those found well enough.

    What is taken off must be mapped to itself nearly, or the values of both parts would sum to too much.
    """
    basis = start
    for _ in range(SUBSPACE_STEPS):
        basis = torch.linalg.qr((basis @ tall.T @ tall).T).Q.T
    left, values, turn = torch.linalg.svd(basis @ tall.T, full_matrices=False)
    basis = left.T @ basis
    astray = torch.linalg.vector_norm((turn @ tall) - values[:, None] * basis, dim=1)
    found = astray <= INVARIANT * values
    return values[found].double(), basis[found]


def _bidiagonals(tall: Tensor, start: Tensor, leading: Tensor) -> Iterator[Tensor]:
    """Upper bidiagonal matrices, float64, shape (n_probes, n_steps, n_steps), one for each of `N_STEPS`.

    From vectors orthogonal to the leading ones. Those of the right side are orthogonalized anew; those of the left
    then are so too.
    """
    vector, left = torch.nn.functional.normalize(_off(leading, start), dim=1), 0.0
    most = min(N_STEPS[-1], max(1, vector.shape[1] - len(leading)))
    basis = vector.new_empty(len(vector), most, vector.shape[1])
    found = torch.zeros(len(vector), most, most + 1, dtype=torch.float64, device=vector.device)
    beside = vector.new_zeros(len(vector))
    for step in range(most):
        basis[:, step] = vector
        image = vector @ tall.T
        left, length = _unit(image - beside[:, None] * left, torch.linalg.vector_norm(image, dim=1))
        found[:, step, step] = length.double()
        if step + 1 in N_STEPS or step + 1 == most:
            yield found[:, : step + 1, : step + 1]
        vector, beside = _next(left @ tall, basis[:, : step + 1], leading)
        found[:, step, step + 1] = beside.double()


def _rules(bidiagonal: Tensor) -> Iterator[Tensor]:
    """That of Gauss, and that of Radau with a node at 0, each as the bidiagonal matrix of its nodes and weights."""
    yield bidiagonal
    singular = bidiagonal.clone()
    singular[:, -1, -1] = 0
    yield singular


def _off(leading: Tensor, vectors: Tensor) -> Tensor:
    """What of the vectors is orthogonal to the leading ones."""
    return vectors - (vectors @ leading.T) @ leading


def _next(image: Tensor, basis: Tensor, leading: Tensor) -> tuple[Tensor, Tensor]:
    """The next vector of each sequence and its length before it was normalized.

    Orthogonal to the leading ones and to its basis, shape (n_probes, n_steps, n).
    """
    before = torch.linalg.vector_norm(image, dim=1)
    for _ in range(2):  # what is left of a difference is not orthogonal yet
        image = _off(leading, image)
        along = torch.bmm(basis, image[:, :, None])  # (n_probes, n_steps, 1)
        image = image - torch.bmm(along.transpose(1, 2), basis)[:, 0]
    return _unit(image, before)


def _unit(vectors: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors at length 1, and their lengths.

    One of which only rounding was left, of a length ``before``, is zero: its sequence has met all there is, and its
    later nodes get no weight.
    """
    length = torch.linalg.vector_norm(vectors, dim=1)
    length = torch.where(length > 8 * torch.finfo(vectors.dtype).eps * before, length, 0.0)
    return torch.where(length[:, None] > 0, vectors / length[:, None], 0.0), length


def _estimate(largest: Tensor, rule: Tensor, tall: Tensor) -> Estimate:
    """From the largest values, and for the rest the nodes (singular values) of a rule and their weights.

    In the scale in which the squares of all values sum to the number of columns.
    """
    _, nodes, right = torch.linalg.svd(rule)
    weights = right[:, :, 0].square() * (tall.shape[1] - len(largest))  # (n_probes, n_nodes)
    total = float(largest.sum() + (weights * nodes).sum(1).mean())
    entropy = -float(torch.special.entr(largest).sum() + (weights * torch.special.entr(nodes)).sum(1).mean())
    value = math.exp(math.log(total) - entropy / total)
    influence = (nodes * (1 + entropy / total) + torch.special.entr(nodes)) / total
    square = max(0.0, tall.shape[1] - float(largest.square().sum()))
    peak = max(map(float, (*largest[:1], nodes.max())))
    lost = tall.shape[1] * torch.finfo(tall.dtype).eps * peak / total  # rounding adds so much of the largest to each
    error = math.hypot(_standard_error(weights, nodes, influence, square), lost * (1 - math.log(lost)))
    return Estimate(value, value * error)


def _standard_error(weights: Tensor, nodes: Tensor, influence: Tensor, square: float) -> float:
    """Of the mean over the probes of the sum of the influences, which are relative to the value.

    As the probes scatter, or if that is more, as random vectors would by the spectrum that the nodes show:
    2 (Σ h² - (Σ h)²/n) for each. Of a few equal values all probes may by chance meet as little; how much there is to be
    met is known: the values that are not among the largest have squares of this sum.
    """
    found, number = (weights * influence).sum(1), len(weights)
    mean, dimension = float(found.mean()), max(1.0, float(weights.sum(1).mean()))
    met = float((weights * nodes.square()).sum(1).mean())
    squares = float((weights * influence.square()).sum(1).mean()) * (square / met if met > 0 else 0.0)
    scatter = float(found.var(correction=1))
    return math.sqrt(max(scatter, 2 * (squares - mean**2 / dimension)) / number)
