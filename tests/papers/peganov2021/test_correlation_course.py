import math
from typing import get_args

import numpy as np
import pytest

from cofire.papers.framework.claim_table import MissingRows, Table
from cofire.papers.framework.verdicts import Bar, Verdict, judge
from cofire.papers.peganov2021 import CNN, MLP, RNN
from cofire.papers.peganov2021.correlation_course import Kind, course_claims, figure, numbers, phases

KINDS: tuple[Kind, ...] = get_args(Kind)
BAR = Bar(above=0, margin=0.01)
RISES = np.linspace(0.1, 0.4, 15)
COURSES = {
    "rises and falls": np.concatenate([RISES, np.linspace(0.4, 0.2, 16)[1:]]),
    "rises to the end": np.concatenate([RISES, np.linspace(0.4, 0.6, 16)[1:]]),
    "stays at an early peak": np.concatenate([np.linspace(0.1, 0.4, 5), np.full(25, 0.4)]),
    "falls from the start": np.linspace(0.6, 0.2, 30),
    "flat": np.full(30, 0.3),
}
EXPECTED = {
    "rises and falls": ("reproduced", "reproduced"),
    "rises to the end": ("reproduced", "not at this scale"),
    "stays at an early peak": ("reproduced", "not reproduced"),
    "falls from the start": ("not reproduced", "reproduced"),
    "flat": ("not reproduced", "not reproduced"),
}


def rows(
    course: str, *, site: str = "hidden1", n_seeds: int = 4, sigma: float = 0.001, noise: int = 1, **settings: object
) -> Table:
    scatter = np.random.default_rng(noise).normal(0, sigma, (n_seeds, 30))
    return Table(
        {"measure": "nc_rms", "site": site, "seed": seed, "step": 10 * step, "value": float(value), **settings}
        for seed in range(n_seeds)
        for step, value in enumerate(COURSES[course] + scatter[seed])
    )


def verdict(table: Table, kind: Kind, *, whole: bool = True) -> Verdict:
    return judge(numbers(table, kind), BAR, whole=whole)


@pytest.mark.parametrize("course", list(COURSES))
def test_each_phase_is_judged_for_itself(course: str) -> None:
    for noise in range(10):
        for kind, expected in zip(KINDS, EXPECTED[course], strict=True):
            assert verdict(rows(course, noise=noise), kind).word == expected, (course, kind, noise)


def test_a_fall_that_training_was_too_short_to_show_is_told_with_the_step_of_the_peak() -> None:
    found = verdict(rows("rises to the end", sigma=0.0), "decorrelation")
    assert found.note.endswith("correlation peaked at step 290 of 290 only")


def test_a_shorter_training_refutes_a_fall_only_if_the_course_has_come_to_rest() -> None:
    assert verdict(rows("stays at an early peak"), "decorrelation", whole=False).word == "not reproduced"
    falls_first = np.concatenate([np.linspace(0.4, 0.1, 12), np.linspace(0.1, 0.35, 18)])
    table = Table({**one, "value": float(falls_first[one["step"] // 10])} for one in rows("flat", sigma=0.0))
    table = Table({**one, "value": one["value"] + one["seed"] / 1000} for one in table)
    assert verdict(table, "growth", whole=False).word == "not at this scale"


def test_effects_are_the_sizes_with_their_interval() -> None:
    found = verdict(rows("rises and falls", sigma=0.003), "growth")
    low, high = found.number.interval
    assert found.number.effect == pytest.approx(0.3, abs=0.02) and low < 0.3 < high + 0.02
    assert found.number.n == 4 and "growth of √(mean ρ²), step 0 to 14" in found.note


def test_one_layer_that_does_not_follow_is_enough_and_layers_are_one_sample() -> None:
    table = Table([*rows("rises and falls"), *rows("stays at an early peak", site="hidden2")])
    found = verdict(table, "decorrelation")
    assert found.word == "not reproduced" and found.note.startswith("hidden2") and found.passed == (0, 1)


def test_every_share_of_dropout_is_a_sample() -> None:
    table = Table([*rows("rises and falls", dropout=0.0), *rows("rises to the end", dropout=0.3)])
    found = verdict(table, "decorrelation")
    assert found.word == "not at this scale" and "hidden1, dropout 0.3" in found.note and found.passed == (1, 2)


def test_noise_decides_nothing() -> None:
    assert verdict(rows("flat", sigma=0.3), "growth").word == "inconclusive"


def test_undefined_values_are_left_out_and_one_repetition_is_too_few() -> None:
    table = rows("rises and falls")
    holes = Table(
        {**one, "value": math.nan if one["step"] == 100 and one["seed"] == 2 else one["value"]} for one in table
    )
    assert phases(holes).peak == phases(table).peak
    found = verdict(rows("rises and falls", n_seeds=1), "growth")
    assert found.word == "inconclusive" and "one repetition" in found.note


def test_the_initialization_may_decide() -> None:
    inits = {"He's": {"init": "normal"}, "torch's": {"init": "torch"}}
    growth, fall = course_claims("cofire.papers.peganov2021", "course", {"SGD": {"optimizer": "sgd"}}, inits)
    assert (growth.name, fall.name) == ("growth: SGD", "decorrelation: SGD") and fall.text.endswith("(SGD)")
    at = {"He's": rows("rises to the end", optimizer="sgd", init="normal")}
    at["torch's"] = rows("rises and falls", optimizer="sgd", init="torch")
    table = Table([*at["He's"], *at["torch's"]])
    assert growth.verdict(table).word == "reproduced" and fall.verdict(table).word == "not at this scale"
    flat = rows("stays at an early peak", optimizer="sgd", init="normal")
    found = fall.verdict(Table([*flat, *at["torch's"]]))
    assert found.word == "depends" and found.choice == "initialization"
    assert {name: one.word for name, one in found.readings} == {"He's": "not reproduced", "torch's": "reproduced"}
    assert fall.verdict(at["torch's"]).word == "not at this scale"  # one of the readings was not run


CONDITIONS = [(experiment, claim.name) for experiment in (MLP, CNN, RNN) for claim in experiment.claims]


@pytest.mark.parametrize(("experiment", "name"), CONDITIONS, ids=lambda one: getattr(one, "name", one))
def test_every_claim_can_pass_and_fail(experiment, name: str) -> None:
    claim = next(claim for claim in experiment.claims if claim.name == name)
    points = {tuple((key, point[key]) for key in ("optimizer", "init", "size", "dropout") if key in point): None
              for point in experiment.grid["paper"]}  # fmt: skip

    def whole(course: str) -> Table:
        return Table(one for point in points for one in rows(course, **dict(point)))

    assert claim.verdict(whole("rises and falls")).word == "reproduced"
    assert claim.verdict(whole("flat")).word == "not reproduced"
    assert claim.verdict(Table([])).word == "not at this scale"


def test_the_figure_has_a_panel_for_each_condition_that_was_run() -> None:
    conditions = {"Adam": {"optimizer": "adam"}, "SGD": {"optimizer": "sgd"}, "other": {"optimizer": "other"}}
    table = Table([*rows("rises and falls", optimizer="adam"), *rows("flat", optimizer="sgd")])
    drawn = figure(table, conditions)
    assert [axis.get_title() for axis in drawn.axes] == ["Adam", "SGD"]
    assert [len(axis.get_lines()) for axis in drawn.axes] == [2, 1]  # a curve, and a dot at a peak that was found
    with pytest.raises(MissingRows, match="no condition was run"):
        figure(Table([]), conditions)
