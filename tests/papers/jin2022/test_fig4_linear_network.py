import math

import pytest
import torch

from cofire.papers.framework.claim_table import Table
from cofire.papers.jin2022.fig4_linear_network import (
    EMBEDDING,
    FIG4,
    LAYERS,
    METHODS,
    ORIGINAL,
    OTHER_SAMPLES,
    PER_DIMENSION,
    in_both_spaces,
    offsets,
    range_over_layers,
    usual,
)

BOUND = METHODS[0]


def rows(
    *, log_det: float, original: float, embedding: float, per_dimension: float, nc: float, features: float, gram: float
) -> Table:
    """Entropies that fall by some amount from layer to layer, in each space and for each number of samples."""
    falls = {**dict.fromkeys(ORIGINAL, original), EMBEDDING: embedding, PER_DIMENSION: per_dimension}
    found = [
        {"site": layer, "measure": measure, "value": value, "epoch": epoch, **samples}
        for number, layer in enumerate(LAYERS)
        for measure, value in [
            *((name, 10 - number * fall) for name, fall in falls.items()),
            *(("nc", nc), ("nc_projected", features), ("nc_gram", gram)),
        ]
        for epoch, samples in [(0, {}), (3, {}), *((3, {"samples": count}) for count in OTHER_SAMPLES)]
    ]
    found += [
        {"site": layer, "measure": "log_det", "value": log_det, "epoch": epoch}
        for layer in LAYERS[1:]
        for epoch in (0, 3)
    ]
    return Table({**one, "value": one["value"] * (1 + seed / 1000), "seed": seed} for one in found for seed in range(3))


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {claim.name: claim.verdict(table, whole=whole).word for claim in FIG4.claims}


PAPER = {"log_det": 0.0, "original": 2.0, "embedding": 0.1, "per_dimension": 0.2, "nc": 0.3, "features": 0.001}
PAPER["gram"] = 0.01
REVERSE = {"log_det": -2.0, "original": 2.0, "embedding": 3.0, "per_dimension": 4.0, "nc": 0.01, "features": 0.2}
REVERSE["gram"] = 0.3


def test_as_the_paper_has_it() -> None:
    assert set(words(rows(**PAPER)).values()) == {"reproduced"}
    assert set(words(rows(**PAPER), whole=False).values()) == {"reproduced"}


def test_what_falls_by_the_determinant_is_right_by_the_other_truth_alone() -> None:
    table = rows(**REVERSE)
    last = usual(table).last()
    truth = offsets(last)
    assert truth[LAYERS[-1]][0] == pytest.approx(-8)
    assert range_over_layers(last, BOUND)[0] == pytest.approx(8)
    assert range_over_layers(last, BOUND, truth)[0] == pytest.approx(0, abs=1e-9)
    assert set(words(table).values()) == {"not reproduced"}


def test_the_features_decide_whether_they_are_decoupled() -> None:
    claim = next(claim for claim in FIG4.claims if claim.name == "decoupled")
    found = claim.verdict(rows(**{**PAPER, "gram": 0.4}))
    assert found.word == "depends" and found.choice == "the features"
    assert {name: one.word for name, one in found.readings} == {
        "eigenvectors": "reproduced",
        "rows of the kernel matrix": "not reproduced",
    }


def test_the_estimator_decides_which_range_is_smaller() -> None:
    found = words(rows(**{**PAPER, "per_dimension": 5.0}))
    assert found["smaller range"] == found["smaller range, right truth"] == "depends"
    assert found["correlated"] == found["decoupled"] == "reproduced"


def test_every_number_of_samples_counts_and_as_one_sample() -> None:
    few = OTHER_SAMPLES[0]
    table = Table(
        {**one, "value": one["value"] * (40 if one["measure"] in (EMBEDDING, PER_DIMENSION) else 1)}
        if one.get("samples") == few
        else one
        for one in rows(**PAPER)
    )
    claim = next(claim for claim in FIG4.claims if claim.name == "smaller range")
    found = claim.verdict(table)
    assert found.word == "not reproduced" and found.note.startswith(f"{few} samples") and found.passed == (0, 1)


def test_no_rows_decide_nothing() -> None:
    assert set(words(Table([])).values()) == {"not at this scale"}


def test_both_spaces_of_independent_normal_units() -> None:
    x = torch.randn(800, 3, generator=torch.Generator().manual_seed(0))
    found = in_both_spaces(x, (x[:, 0] > 0).long())
    truth = 1.5 * math.log(2 * math.pi * math.e)
    assert found["independence bound"] == pytest.approx(truth, abs=0.2)
    assert found["kNN"] == pytest.approx(truth, abs=0.2)
    assert found["normal"] == pytest.approx(truth, abs=0.15)
    assert found["nc"] < 0.1 and found["nc_projected"] < 0.01 < found["nc_gram"]
    assert found["binned"] <= math.log(500) + 1e-9
    assert in_both_spaces(x, (x[:, 0] > 0).long(), samples=100)["binned"] <= math.log(100) + 1e-9
