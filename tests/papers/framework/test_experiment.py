import dataclasses

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import Claim, row
from cofire.papers.framework.tasks import Task
from cofire.papers.framework.verdicts import decide


def test_a_scale_has_its_points_and_seeds(made) -> None:
    experiment = made()
    assert [(task["x"], task.seeds) for task in experiment.tasks("smoke")] == [(x, (0, 1)) for x in range(4)]
    assert {task.seeds for task in experiment.tasks("quick", seeds=1)} == {(0,)}
    apart = dataclasses.replace(experiment, together=False).tasks("smoke")
    assert len(apart) == 8 and {task.seeds for task in apart} == {(0,), (1,)}
    assert experiment.paper == "jin2022"
    with pytest.raises(ValueError, match="at least 1, got 0"):
        experiment.tasks("smoke", seeds=0)


def test_points_of_a_scale_may_have_their_own_numbers_of_seeds(made) -> None:
    seeds = {"smoke": 2, "quick": lambda point: 3 if point["x"] < 2 else 1, "paper": 5}
    experiment = dataclasses.replace(made(), seeds=seeds)
    assert [len(task.seeds) for task in experiment.tasks("quick")] == [3, 3, 1, 1]
    apart = dataclasses.replace(experiment, together=False)
    assert [(task["x"], *task.seeds) for task in apart.tasks("quick")][:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert [len(task.seeds) for task in experiment.tasks("quick", seeds=4)] == [4] * 4
    with pytest.raises(ValueError, match="at least 1, got 0"):
        dataclasses.replace(experiment, seeds={**seeds, "quick": lambda point: 0}).tasks("quick")


def test_a_new_version_is_new_tasks(made) -> None:
    old = made()
    new = dataclasses.replace(old, version=2)
    assert not {task.id for task in old.tasks("smoke")} & {task.id for task in new.tasks("smoke")}


def test_incomplete_or_ambiguous_experiments_are_refused(made) -> None:
    experiment = made()
    with pytest.raises(ValueError, match="needs grid, seeds and minutes for the scale paper"):
        dataclasses.replace(experiment, seeds={"smoke": 1, "quick": 1})
    with pytest.raises(ValueError, match="points must differ"):
        dataclasses.replace(experiment, grid={scale: ({"x": 1}, {"x": 1}) for scale in ("smoke", "quick", "paper")})
    with pytest.raises(ValueError, match="claims must differ, got rises twice"):
        dataclasses.replace(experiment, claims=experiment.claims[:1] * 2)
    with pytest.raises(ValueError, match="rename the setting seed"):
        dataclasses.replace(experiment, grid={scale: ({"seed": 1},) for scale in ("smoke", "quick", "paper")})


def test_missing_rows_never_pass() -> None:
    claim = Claim("c", "t", "r", lambda table: decide(table.per_seed(measure="nc"), above=0))
    whole = Table({"seed": seed, "measure": "nc", "value": 1.0 + seed} for seed in range(5))
    assert claim.verdict(whole).reproduced
    partly = claim.verdict(whole, missing=1)
    assert partly.outcome == "inconclusive" and "1 task is missing" in partly.note and partly.effect == 3
    nothing = claim.verdict(Table([]))
    assert nothing.outcome == "inconclusive" and "no rows with measure='nc'" in nothing.note


def test_a_mistake_in_a_claim_is_not_hidden() -> None:
    claim = Claim("c", "t", "r", lambda table: decide(table.per_seed(), above=0))
    twice = Table([{"seed": 0, "value": 1.0}] * 2)
    with pytest.raises(ValueError, match="several rows"):
        claim.verdict(twice)


def test_a_rows_parameters_become_columns() -> None:
    made = row("wc", 0.5, seed=3, epoch=2, site="fc", fan_in=9)
    assert (made.seed, made.epoch, made.site, made.parameters) == (3, 2, "fc", '{"fan_in": 9}')
    assert Task.of("a.b", 1, {}, [3]).seeds == (3,)
