import dataclasses

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import Claim, row
from cofire.papers.framework.tasks import Task
from cofire.papers.framework.verdicts import Bar, part


def test_a_scale_has_its_points_and_seeds(made) -> None:
    experiment = made()
    assert [(task["x"], task.seeds) for task in experiment.tasks("smoke")] == [(x, (0, 1)) for x in range(4)]
    assert {task.seeds for task in experiment.tasks("quick", seeds=range(1))} == {(0,)}
    apart = dataclasses.replace(experiment, together=False).tasks("smoke")
    assert len(apart) == 8 and {task.seeds for task in apart} == {(0,), (1,)}
    assert experiment.paper == "jin2022"
    with pytest.raises(ValueError, match="needs at least 1 seed"):
        experiment.tasks("smoke", seeds=range(0))


@pytest.mark.parametrize("together", [True, False])
def test_seeds_may_begin_anywhere(made, together: bool) -> None:
    tasks = dataclasses.replace(made(x=[7]), together=together).tasks("quick", seeds=range(5, 10))
    assert sum((task.seeds for task in tasks), ()) == (5, 6, 7, 8, 9) and len(tasks) == (1 if together else 5)


def test_the_scale_medium_may_be_absent_but_not_in_part(made) -> None:
    experiment = made()
    assert experiment.scales == ("smoke", "quick", "paper")
    with pytest.raises(ValueError, match=r"jin2022.arithmetic has no scale medium; it has smoke, quick, paper"):
        experiment.tasks("medium")
    parts = {
        "grid": {**experiment.grid, "medium": ({"x": 5},)},
        "seeds": {**experiment.seeds, "medium": 4},
        "minutes": {**experiment.minutes, "medium": 30},
    }
    whole = dataclasses.replace(experiment, **parts)
    assert whole.scales == ("smoke", "quick", "medium", "paper") and len(whole.tasks("medium")[0].seeds) == 4
    for name, one in parts.items():
        with pytest.raises(ValueError, match="needs grid, seeds and minutes for the scale medium"):
            dataclasses.replace(experiment, **{name: one})


def test_points_of_a_scale_may_have_their_own_numbers_of_seeds(made) -> None:
    seeds = {"smoke": 2, "quick": lambda point: 3 if point["x"] < 2 else 1, "paper": 5}
    experiment = dataclasses.replace(made(), seeds=seeds)
    assert [len(task.seeds) for task in experiment.tasks("quick")] == [3, 3, 1, 1]
    apart = dataclasses.replace(experiment, together=False)
    assert [(task["x"], *task.seeds) for task in apart.tasks("quick")][:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert [len(task.seeds) for task in experiment.tasks("quick", seeds=range(4))] == [4] * 4
    with pytest.raises(ValueError, match="needs at least 1 seed"):
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


POSITIVE = Bar(above=0, margin=0.1)


def test_missing_rows_decide_nothing() -> None:
    claim = Claim("c", "t", "r", POSITIVE, lambda table: part(table.per_seed(measure="nc")))
    whole = Table({"seed": seed, "measure": "nc", "value": 1.0 + seed} for seed in range(5))
    assert claim.verdict(whole).word == "reproduced"
    nothing = claim.verdict(Table([]))
    assert nothing.word == "not at this scale" and "no rows with measure='nc'" in nothing.note


def test_a_mistake_in_a_claim_is_not_hidden() -> None:
    claim = Claim("c", "t", "r", POSITIVE, lambda table: part(table.per_seed()))
    twice = Table([{"seed": 0, "value": 1.0}] * 2)
    with pytest.raises(ValueError, match="several rows"):
        claim.verdict(twice)


def test_a_rows_parameters_become_columns() -> None:
    made = row("wc", 0.5, seed=3, epoch=2, site="fc", fan_in=9)
    assert (made.seed, made.epoch, made.site, made.parameters) == (3, 2, "fc", '{"fan_in": 9}')
    assert Task.of("a.b", 1, {}, [3]).seeds == (3,)
