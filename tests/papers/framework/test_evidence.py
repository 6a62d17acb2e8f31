import dataclasses
import math
import random
from pathlib import Path

import pytest

from cofire.papers.framework.evidence import LARGEST, Evidence
from cofire.papers.framework.repetitions import Failure, Found, Number, Repetition, table_of

PUBLISHED = Path(__file__).parents[3] / "docs/papers/evidence"


def repetition(
    x: int = 0, seed: int = 0, *, device: str = "cpu", seconds: float = 1.5, value: float = 0.1
) -> Repetition:
    numbers = [Number("nc", site, "{}", step, 0, value * step, 50) for site in ("a", "b") for step in range(4)]
    numbers.append(Number("wc", "", '{"k": 2}', 0, 0, math.nan, 0))
    return Repetition(f'{{"x": {x}}}', device, seed, seconds, numbers)


def test_what_is_written_is_read_back_in_single_precision(made, tmp_path: Path) -> None:
    evidence, failure = Evidence(tmp_path / "new"), Failure('{"x": 3}', "cpu", (0, 1), "RuntimeError: no")
    found = Found.of([repetition(1, seed) for seed in (0, 1)], [failure])
    path = evidence.write(made(), "quick", found)
    assert path == tmp_path / "new/jin2022.arithmetic.quick.parquet"
    again = evidence.found(made(), "quick")
    assert again.failures == [failure] and again.repetitions.keys() == found.repetitions.keys()
    (row,) = table_of(again.repetitions.values()).where(x=1, seed=1, site="b", step=3)
    assert row["value"] == pytest.approx(0.3, rel=1e-7) and row["n_samples"] == 50 and row["measure"] == "nc"
    (row,) = table_of(again.repetitions.values()).where(seed=0, measure="wc")
    assert row["k"] == 2 and math.isnan(row["value"])
    assert sum(one.seconds for one in again.repetitions.values()) == 3


def test_the_same_numbers_give_the_same_bytes(made, tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    parts = [repetition(x, seed) for x in range(3) for seed in range(4)]
    first = evidence.write(made(), "quick", Found.of(parts, [])).read_bytes()
    for one in parts:
        random.Random(0).shuffle(one.numbers)  # type: ignore[arg-type]
    assert evidence.write(made(), "quick", Found.of(reversed(parts), [])).read_bytes() == first
    assert evidence.write(made(), "quick", evidence.found(made(), "quick")).read_bytes() == first


def test_points_that_the_grid_no_longer_has_are_left_out(made, tmp_path: Path) -> None:
    Evidence(tmp_path).write(made(), "quick", Found.of([repetition(1), repetition(9)], []))
    assert [one.settings for one in Evidence(tmp_path).found(made(), "quick").repetitions.values()] == ['{"x": 1}']


def test_figures_of_one_training_share_a_file(made, tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    figures = [dataclasses.replace(made(), name=f"one.fig{number}", task_name="one.fig1") for number in (1, 2)]
    evidence.write(figures[0], "quick", Found.of([repetition()], []))
    assert evidence.published(figures[1]) == "quick" and len(evidence.found(figures[1], "quick").repetitions) == 1


def test_the_largest_scale_with_evidence_is_the_published_one(made, tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    assert evidence.published(made()) is None and not evidence.found(made(), "quick").repetitions
    for scale in ("paper", "quick"):
        evidence.write(made(), scale, Found.of([repetition()], []))
    assert evidence.published(made()) == "paper"


def test_evidence_of_another_version_and_other_files_are_refused(made, tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    path = evidence.write(made(), "quick", Found.of([repetition()], []))
    new = dataclasses.replace(made(), version=2)
    with pytest.raises(
        ValueError, match=r"recorded by version 1 of jin2022.arithmetic, which is now at version 2; rem"
    ):
        evidence.found(new, "quick")
    for content in (b"nothing", path.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"quick.parquet is not a file of evidence"):
            evidence.found(made(), "quick")


def test_a_million_numbers_take_little_room(made, tmp_path: Path) -> None:
    drawn = random.Random(0)
    numbers = [Number("nc", f"hidden{k % 3}", "{}", k, 0, drawn.random(), 1000) for k in range(10_000)]
    found = Found.of([Repetition('{"x": 0}', "cpu", seed, 1.0, numbers) for seed in range(10)], [])
    assert Evidence(tmp_path).write(made(), "quick", found).stat().st_size < 5 * 100_000


def test_all_evidence_in_the_repository_is_small() -> None:
    assert sum(path.stat().st_size for path in PUBLISHED.rglob("*")) <= LARGEST
