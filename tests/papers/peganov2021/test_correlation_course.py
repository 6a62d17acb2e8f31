import math

import numpy as np
import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.peganov2021.correlation_course import claims, figure, phases, verdict

RISES = np.linspace(0.1, 0.4, 15)
COURSES = {
    "both": np.concatenate([RISES, np.linspace(0.4, 0.2, 16)[1:]]),
    "growth": np.concatenate([RISES, np.linspace(0.4, 0.6, 16)[1:]]),
    "decorrelation": np.linspace(0.6, 0.2, 30),
    "none": np.full(30, 0.3),
}


def rows(course: str, *, site: str = "hidden1", n_seeds: int = 4, sigma: float = 0.003) -> Table:
    noise = np.random.default_rng(1).normal(0, sigma, (n_seeds, 30))
    return Table(
        {"optimizer": "adam", "measure": "nc_rms", "site": site, "seed": seed, "step": 10 * step, "value": float(value)}
        for seed in range(n_seeds)
        for step, value in enumerate(COURSES[course] + noise[seed])
    )


@pytest.mark.parametrize("course", list(COURSES))
def test_each_phase_is_judged_for_itself(course: str) -> None:
    for kind in ("growth", "decorrelation"):
        expected = "reproduced" if course in (kind, "both") else "not reproduced"
        assert verdict(rows(course), kind).outcome == expected, (course, kind)


def test_effects_are_the_sizes_with_their_interval() -> None:
    found = verdict(rows("both"), "growth")
    assert found.effect == pytest.approx(0.3, abs=0.02) and found.interval[0] < 0.3 < found.interval[1] + 0.02
    assert found.n_seeds == 4 and "growth of √(mean ρ²), step 0 to 14" in found.note


def test_one_layer_that_does_not_follow_is_enough() -> None:
    table = Table([*rows("both"), *rows("growth", site="hidden2")])
    found = verdict(table, "decorrelation")
    assert found.outcome == "not reproduced" and found.note.startswith("hidden2") and "1 of 2 parts" in found.note


def test_noise_decides_nothing() -> None:
    assert verdict(rows("none", sigma=0.3), "growth").outcome == "inconclusive"


def test_undefined_values_are_left_out_and_one_seed_is_too_few() -> None:
    table = rows("both")
    holes = Table(
        {**one, "value": math.nan if one["step"] == 100 and one["seed"] == 2 else one["value"]} for one in table
    )
    assert phases(holes).peak == phases(table).peak
    assert "one seed" in verdict(rows("both", n_seeds=1), "growth").note


def test_claims_are_of_their_condition_and_the_figure_has_a_panel_for_each() -> None:
    conditions = {"Adam": {"optimizer": "adam"}, "SGD": {"optimizer": "sgd"}}
    sgd = [{**one, "optimizer": "sgd"} for one in rows("none")]
    table = Table([*rows("both"), *sgd])
    outcomes = {claim.name: claim.verdict(table).outcome for claim in claims(conditions)}
    assert outcomes == {
        "growth, Adam": "reproduced",
        "decorrelation, Adam": "reproduced",
        "growth, SGD": "not reproduced",
        "decorrelation, SGD": "not reproduced",
    }
    assert {claim.verdict(rows("both")).outcome for claim in claims({"SGD": {"optimizer": "sgd"}})} == {"inconclusive"}
    drawn = figure(table, conditions)
    assert [axis.get_title() for axis in drawn.axes] == ["Adam", "SGD"]
    assert [len(axis.get_lines()) for axis in drawn.axes] == [2, 1]  # a curve, and a dot at a peak that was found
