"""Estimate of the entropy of a large matrix's singular values, from a few products with vectors."""

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
"""Largest relative residual of a leading singular vector."""
N_STEPS = (24, 48, 96)
"""Lanczos steps after which the two quadrature rules are compared."""
SURE, CLOSE = 0.5, 0.005
"""The rules agree if they differ by at most ``SURE`` times the standard error, or ``SURE * CLOSE`` times the value."""
PLAIN = 2.0**40
"""Magnitudes between ``1 / PLAIN`` and ``PLAIN`` have squares in the range of float32."""


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    error: float


def effective_rank_entropy_lanczos(matrix: Tensor, *, seed: int = 0) -> Estimate:
    r"""Estimate the exponential of the entropy of the singular values' shares, by stochastic Lanczos quadrature.

    .. math:: H = \log S - \frac{1}{S} \sum_k σ_k \log σ_k, \qquad S = \sum_k σ_k

    The largest singular values, which would add most to the variance of both sums, are found by subspace iteration and
    summed exactly. The sums over the rest are estimated from a few random vectors, each by quadrature after some steps
    of Golub and Kahan's bidiagonalization. Gauss's rule overestimates a sum of roots and Radau's rule with a node at 0
    underestimates it; the result is their midpoint, and more steps are taken while they are far apart. It stands in for
    :func:`~cofire.stats.redundancy.effective_rank.effective_rank_entropy` where computing all singular values would
    take too long.

    Args:
        matrix: shape (n, m), float32 or float64, finite.
        seed: seed of the random vectors; the global generator is not used.

    Returns:
        Estimate with its standard error, which includes the random vectors, half the distance of the two rules (which
        matters where singular values decay by some percent from one to the next) and rounding; NaN for a matrix of
        zeros.

    Bias:
        That of the midpoint of two rules, within the error.

    References: Ubaru, Chen, Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature"; Meyer, Musco,
        Musco, Woodruff 2021, "Hutch++"; Golub, Meurant 2010, "Matrices, Moments and Quadrature".

    Example:
        >>> found = effective_rank_entropy_lanczos(torch.eye(500))
        >>> round(found.value, 3), found.error < 0.01
        (500.0, True)
    """
    tall = _plainly_scaled(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T)
    # by rows, because torch would make a float64 copy of the matrix to take its norm in float64
    scale = float(torch.linalg.vector_norm(tall, dim=1).double().norm()) / math.sqrt(tall.shape[1])
    if not 0 < scale < math.inf:
        return Estimate(math.nan, math.nan)
    generator = torch.Generator().manual_seed(seed)
    largest, leading = _leading(tall, _signs(tall, min(N_LEADING, tall.shape[1]), generator))
    found = Estimate(math.nan, math.nan)
    for bidiagonal in _bidiagonals(tall, _signs(tall, N_PROBES, generator), leading):
        with_node_at_zero = bidiagonal.clone()  # Radau's rule: a singular matrix has a node at 0
        with_node_at_zero[:, -1, -1] = 0
        gauss, radau = (_estimate(largest / scale, rule / scale, tall) for rule in (bidiagonal, with_node_at_zero))
        apart = abs(gauss.value - radau.value)
        found = Estimate((gauss.value + radau.value) / 2, math.hypot(gauss.error, apart / 2))
        if apart < SURE * max(gauss.error, CLOSE * gauss.value):
            break
    return found


def _plainly_scaled(matrix: Tensor) -> Tensor:
    """Return the matrix or, if its squares could leave the range of its type, a copy scaled to about 1."""
    peak = torch.stack(torch.aminmax(matrix)).abs().max()
    return matrix if 1 / PLAIN < peak < PLAIN or peak == 0 else matrix / power_of_two(peak)


def _signs(tall: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Return random signs, shape (number, n)."""
    signs = torch.randint(0, 2, (number, tall.shape[1]), generator=generator, device="cpu")
    return (signs * 2 - 1).to(tall)


def _leading(tall: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest singular values, float64, and their right vectors, shape (n_leading, n), that have converged.

    A vector that is still far from an eigenvector of the Gram matrix would count part of the spectrum twice.
    """
    basis = start
    for _ in range(SUBSPACE_STEPS):
        basis = torch.linalg.qr((basis @ tall.T @ tall).T).Q.T
    left, values, turn = torch.linalg.svd(basis @ tall.T, full_matrices=False)
    basis = left.T @ basis
    residual = torch.linalg.vector_norm((turn @ tall) - values[:, None] * basis, dim=1)
    found = residual <= INVARIANT * values
    return values[found].double(), basis[found]


def _bidiagonals(tall: Tensor, start: Tensor, leading: Tensor) -> Iterator[Tensor]:
    """Yield upper bidiagonal matrices, float64, shape (n_probes, n_steps, n_steps), one for each of `N_STEPS`.

    The sequences start from vectors orthogonal to the leading ones. Only right vectors are reorthogonalized: that keeps
    the left ones orthogonal as well.
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


def _off(leading: Tensor, vectors: Tensor) -> Tensor:
    """Return the part of the vectors that is orthogonal to the leading ones."""
    return vectors - (vectors @ leading.T) @ leading


def _next(image: Tensor, basis: Tensor, leading: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sequence's next vector, orthogonal to its basis and the leading ones, and its original length."""
    before = torch.linalg.vector_norm(image, dim=1)
    for _ in range(2):  # once is not enough: the difference of nearly equal vectors is dominated by rounding
        image = _off(leading, image)
        along = torch.bmm(basis, image[:, :, None])  # (n_probes, n_steps, 1)
        image = image - torch.bmm(along.transpose(1, 2), basis)[:, 0]
    return _unit(image, before)


def _unit(vectors: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vectors scaled to length 1, and their lengths.

    A vector that is only rounding, compared with its length ``before``, becomes zero: its sequence has seen the whole
    space, and its later nodes get no weight.
    """
    length = torch.linalg.vector_norm(vectors, dim=1)
    length = torch.where(length > 8 * torch.finfo(vectors.dtype).eps * before, length, 0.0)
    return torch.where(length[:, None] > 0, vectors / length[:, None], 0.0), length


def _estimate(largest: Tensor, rule: Tensor, tall: Tensor) -> Estimate:
    """Return the estimate from the largest values and, for the rest, the nodes and weights of a quadrature rule.

    All values are scaled so that their squares sum to the number of columns.
    """
    _, nodes, right = torch.linalg.svd(rule)
    weights = right[:, :, 0].square() * (tall.shape[1] - len(largest))  # (n_probes, n_nodes)
    total = float(largest.sum() + (weights * nodes).sum(1).mean())
    entropy = -float(torch.special.entr(largest).sum() + (weights * torch.special.entr(nodes)).sum(1).mean())
    value = math.exp(math.log(total) - entropy / total)
    influence = (nodes * (1 + entropy / total) + torch.special.entr(nodes)) / total
    square = max(0.0, tall.shape[1] - float(largest.square().sum()))
    peak = max(map(float, (*largest[:1], nodes.max())))
    lost = tall.shape[1] * torch.finfo(tall.dtype).eps * peak / total  # rounding adds eps * peak to each value
    error = math.hypot(_standard_error(weights, nodes, influence, square), lost * (1 - math.log(lost)))
    return Estimate(value, value * error)


def _standard_error(weights: Tensor, nodes: Tensor, influence: Tensor, square: float) -> float:
    """Return the relative standard error of the mean over probes, from influences h relative to the value.

    This is the larger of the probes' own scatter and the variance of random vectors under the spectrum that the nodes
    show, 2 (Σ h² − (Σ h)²/n) for each probe. All probes may by chance miss a few values, so Σ h² is rescaled to
    ``square``, the known sum of squares of all values but the largest.
    """
    found, number = (weights * influence).sum(1), len(weights)
    mean, dimension = float(found.mean()), max(1.0, float(weights.sum(1).mean()))
    met = float((weights * nodes.square()).sum(1).mean())
    squares = float((weights * influence.square()).sum(1).mean()) * (square / met if met > 0 else 0.0)
    scatter = float(found.var(correction=1))
    return math.sqrt(max(scatter, 2 * (squares - mean**2 / dimension)) / number)
