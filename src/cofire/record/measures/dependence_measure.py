"""The measure of dependence: what two units tell about one another, beyond their correlation."""

from typing import Any, Literal

import torch
from torch import Tensor

from ...stats.information.chance_level import mean_of_many
from ...stats.information.dependence import dependence_score
from ...stats.information.disagreement import PAIRS_BY_CHANCE, disagreement, pairs_by_chance, pairs_measured
from ..arguments import check_whole
from .activation_sample import evenly_spaced
from .measure import Measure
from .refusal import TRIED, cautious

ROWS = (
    "dependence",
    "dependence_standard_error",
    "dependence_threshold",
    "dependence_pairs",
    "dependence_determined",
    "nonlinear_excess",
)
LEAST_UNITS = 32


def dependence(
    *,
    sites: Any = "*",
    stage: Literal["post", "pre"] = "post",
    every: Any = None,
    method: str = "default",
    n_neighbors: int = 3,
    max_pairs: int | None = 1000,
    max_samples: int | None = 1000,
    map_units: int = 128,
    seed: int = 0,
) -> Measure:
    """Return the measure of dependence: ι, the mean mutual information over pairs of a layer's units, in nats.

    Rows: ``dependence`` (ι), ``dependence_standard_error``, ``dependence_threshold`` (independent units with the same
    marginals stay below it in 95 % of cases, estimated by shuffling each unit's samples), ``dependence_pairs``,
    ``dependence_determined`` (pairs in which one unit determines the other: their information is infinite, and the
    means leave them out) and ``nonlinear_excess`` (mean of the information less that of normal units with the same
    correlation). Where ``max_pairs`` leaves out units, ``n_units_seen`` counts the others. Arrays, over
    ``dependence_units`` (evenly spaced): ``dependence`` (information of each pair), ``dependence_correlation``,
    ``dependence_difference`` (see `cofire.stats.Disagreement`), and ``dependence_chance``: mean information of
    independent units, and the value that one pair of them stays below in 95 % of cases.

    Samples that the estimator refuses (not finite, too few, units with atoms by another method than ``"default"``) give
    NaN, and a `NotMeasured` warning once per site.

    Args:
        sites: which layers; by default all with units of their own, see `Measure`.
        stage: after (``"post"``) or before (``"pre"``) the activation function.
        every: when; None leaves it to the tracker.
        method: ``"default"`` handles atoms and ties, as after a ReLU; ``"3h"``, as in Zhang et al., and ``"ksg"`` are
            for ``stage="pre"``. See `cofire.stats.dependence_score`.
        n_neighbors: k of the estimator.
        max_pairs: pairs measured for the rows, drawn at random; None: all.
        max_samples: see `Measure`; time grows with it faster than linearly.
        map_units: units in the arrays; all their pairs are measured, so 256 take four times as long as 128.
        seed: for the choice of pairs and the shuffles.

    Raises:
        ValueError: if an argument is not as described.

    Example:
        >>> import torch
        >>> x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
        >>> units = torch.cat([x, x.square()], 1) + 0.3 * torch.randn(500, 2)
        >>> values = dependence().values((units,))
        >>> values["dependence"] > values["dependence_threshold"], values["dependence_pairs"]
        (True, 1.0)
    """
    check_whole("map_units", map_units, least=2)
    # Options that no samples could satisfy are refused now, not in the middle of training.
    dependence_score(torch.zeros(TRIED, 1), n_neighbors, method, max_pairs, seed)
    options = {"method": method, "n_neighbors": n_neighbors, "max_pairs": max_pairs}
    return Measure(
        _dependence,
        {**options, "map_units": map_units, "seed": seed},
        sites,
        every,
        stage=stage,
        name="dependence",
        arrays=_dependence_arrays,
        max_samples=max_samples,
    )


def _dependence(x: Tensor, *, method: str, n_neighbors: int, max_pairs: int | None, map_units: int, seed: int) -> Any:
    return cautious(lambda x: _values(x, n_neighbors, method, max_pairs, seed), ROWS, x)


def _values(x: Tensor, n_neighbors: int, method: str, max_pairs: int | None, seed: int) -> dict[str, Any]:
    score = dependence_score(x, n_neighbors, method, max_pairs, seed)
    finite = score.finite()
    most = min(max_pairs or PAIRS_BY_CHANCE, PAIRS_BY_CHANCE)
    chance, _ = pairs_by_chance(x, n_neighbors, method, least_units=LEAST_UNITS, max_pairs=most, seed=seed)
    seen = int((~score.matrix.isnan()).any(0).sum()) + score.n_constant
    return {
        "dependence": finite.mean,
        "dependence_standard_error": finite.standard_error,
        "dependence_threshold": mean_of_many(chance, finite.n_pairs),
        "dependence_pairs": score.n_pairs,
        "dependence_determined": score.n_pairs - finite.n_pairs,
        "nonlinear_excess": pairs_measured(x, finite)[1].mean(),
        **({"n_units_seen": seen} if 0 < seen < x.shape[1] else {}),
    }


def _dependence_arrays(
    x: Tensor, *, method: str, n_neighbors: int, max_pairs: int | None, map_units: int, seed: int
) -> dict[str, Tensor]:
    shown = evenly_spaced(x.shape[1], map_units).to(x.device)
    try:
        found = disagreement(x[:, shown], n_neighbors, method, seed=seed)
    except ValueError:  # the warning with this recording's rows says why
        return {}
    return {
        "dependence": found.information.to(torch.float16),
        "dependence_correlation": found.correlation.to(torch.float16),
        "dependence_difference": found.difference.to(torch.float16),
        "dependence_units": shown,
        "dependence_chance": torch.tensor([found.chance, found.chance_of_one], dtype=torch.float64),
    }
