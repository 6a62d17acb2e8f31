import dataclasses
from pathlib import Path

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import Claim
from cofire.papers.framework.outcome import gathered, outcome
from cofire.papers.framework.repetitions import Failure, Found, Number, Repetition
from cofire.papers.framework.sweep import sweep
from cofire.papers.framework.task_results import Results
from cofire.papers.framework.verdicts import Bar, part


class Kept:
    """A source of some repetitions."""

    def __init__(self, *repetitions: Repetition, failures: tuple[Failure, ...] = ()) -> None:
        self._found = Found.of(repetitions, failures)

    def found(self, experiment, scale) -> Found:
        return self._found


def repetitions(*seeds: int, device: str = "cpu", value: float = 0.0) -> list[Repetition]:
    numbers = [Number("level", "", "{}", 0, epoch, value + epoch, 0) for epoch in range(3)]
    return [Repetition(f'{{"x": {x}}}', device, seed, 1.0, numbers) for x in range(4) for seed in seeds]


def test_a_run_adds_its_repetitions(made, tmp_path: Path) -> None:
    experiment = made()
    with Results(tmp_path, write=True) as results:
        for seeds in (range(3), range(3, 8)):
            sweep([(experiment, task) for task in experiment.tasks("quick", seeds=seeds)], results)
        found = outcome(experiment, "quick", results)
    assert [point.seeds for point in found.points] == [tuple(range(8))] * 4 and not found.missing
    assert [verdict.number.n for _, verdict in found.verdicts] == [8, 8]


def test_evidence_counts_before_a_run(made) -> None:
    evidence, run = Kept(*repetitions(0, 1, value=1)), Kept(*repetitions(1, 2, value=5))
    found = outcome(made(), "quick", evidence, run)
    assert found.table.per_seed(x=0, epoch=0) == {0: 1.0, 1: 1.0, 2: 5.0} and found.seconds == 12
    assert len(gathered(made(), "quick", evidence, run).repetitions) == 12


def test_smoke_judges_nothing_and_only_the_papers_scale_is_whole(made) -> None:
    falls = Claim(
        "falls", "It falls", "nowhere", Bar(below=0, margin=0.1), lambda table: part(table.per_seed(x=0, epoch=2))
    )
    experiment, source = dataclasses.replace(made(), claims=(falls,)), Kept(*repetitions(0, 1, 2))
    assert not outcome(experiment, "smoke", source).verdicts
    words = {scale: outcome(experiment, scale, source).verdicts[0][1].word for scale in ("quick", "paper")}
    assert words == {"quick": "not at this scale", "paper": "not reproduced"}


def test_claims_of_a_figure_are_judged_together(made) -> None:
    def check(table: Table):
        return part({seed: value + seed for seed, value in table.per_seed(x=0, epoch=2).items()})

    claims = [Claim(str(number), "It is above", "nowhere", Bar(above=0, margin=0.1), check) for number in range(9)]
    for n_claims, fragile in ((1, False), (9, True)):
        experiment = dataclasses.replace(made(), claims=tuple(claims[:n_claims]))
        found = outcome(experiment, "quick", Kept(*repetitions(0, 1, 2)))
        assert {(one.word, one.fragile) for _, one in found.verdicts} == {("reproduced", fragile)}


def test_a_failed_task_and_missing_points_are_told(made) -> None:
    failure = Failure('{"x": 2}', "cpu", (0, 1, 2), "RuntimeError: no")
    some = [one for one in repetitions(0, 1, 2) if one.settings != '{"x": 2}']
    found = outcome(made(), "quick", Kept(*some, failures=(failure,)))
    assert found.missing == 1 and found.failures == [failure]
    assert "1 task failed and does not count" in found.verdicts[0][1].note
    assert not outcome(made(), "quick", Kept(*repetitions(0, 1, 2), failures=(failure,))).failures


def test_devices_are_never_mixed(made) -> None:
    few, many = repetitions(0, 1), repetitions(0, 1, 2, device="cuda", value=3)
    found = outcome(made(), "quick", Kept(*few, *many))
    assert found.device == "cuda" and set(found.table.column("seed")) == {0, 1, 2} and found.seconds == 12
    assert found.left_out == "numbers of cuda; 8 repetitions on cpu left out, since the devices' numbers differ"
    assert outcome(made(), "quick", Kept(*repetitions(0, 1, 2), *many)).device == "cpu"
    alone = outcome(made(), "quick", Kept(*few))
    assert alone.device == "cpu" and not alone.left_out
