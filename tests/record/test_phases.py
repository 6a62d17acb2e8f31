import math

import numpy as np
import pytest

import cofire
from cofire.record import PhaseWatch, Row, Turn, find_phases

STEPS = 40
RISE_AND_FALL = np.concatenate([np.linspace(0.1, 0.4, 15), np.linspace(0.4, 0.2, 26)[1:]])


def noisy(course: np.ndarray, n_seeds: int, sigma: float, seed: int = 0) -> np.ndarray:
    return course + np.random.default_rng(seed).normal(0, sigma, (n_seeds, len(course)))


@pytest.mark.parametrize("n_seeds", [1, 3, 10])
def test_growth_and_decorrelation_are_found_with_their_sizes(n_seeds: int) -> None:
    found = find_phases(noisy(RISE_AND_FALL, n_seeds, 0.01), [10 * step for step in range(STEPS)])
    assert found.grew and found.decorrelated
    assert abs(found.peak - 140) <= 20 and found.start <= 20 and found.end >= 350
    assert found.growth.size == pytest.approx(0.3, abs=0.04) and found.decorrelation.size == pytest.approx(
        0.2, abs=0.04
    )
    assert "growth by" in str(found) and "then decorrelation by" in str(found)


def test_one_phase_alone_is_an_answer() -> None:
    for course, grew, fell in (
        (np.linspace(0.1, 0.4, STEPS), True, False),
        (np.linspace(0.4, 0.1, STEPS), False, True),
        (np.full(STEPS, 0.3), False, False),
    ):
        for values in (noisy(course, 5, 0.01), noisy(course, 1, 0.01)):
            found = find_phases(values)
            assert (found.grew, found.decorrelated) == (grew, fell)
    assert str(found) == "no phase found"


def test_a_fall_before_the_growth_is_no_part_of_it() -> None:
    course = np.concatenate([np.linspace(0.3, 0.1, 10), RISE_AND_FALL])
    found = find_phases(noisy(course, 4, 0.005))
    assert 7 <= found.start <= 13 and abs(found.peak - 24) <= 2 and found.grew and found.decorrelated


@pytest.mark.parametrize("n_seeds", [1, 3, 5])
def test_noise_is_seldom_taken_for_a_phase(n_seeds: int) -> None:
    """400 runs of noise at a level of 5 %: each phase is found in at most 5 %, and a few that chance allows."""
    found = [find_phases(noisy(np.zeros(30), n_seeds, 1.0, seed)) for seed in range(400)]
    for name in ("grew", "decorrelated"):
        share = np.mean([getattr(one, name) for one in found])
        assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_sizes_over_seeds_are_not_inflated_by_the_choice_of_the_peak() -> None:
    sizes = [find_phases(noisy(np.zeros(30), 4, 1.0, seed)).growth.size for seed in range(400)]
    assert abs(np.mean(sizes)) < 4 * np.std(sizes) / 20
    naive = [noisy(np.zeros(30), 4, 1.0, seed).mean(0) for seed in range(50)]
    assert np.mean([course.max() - course[0] for course in naive]) > 0.5  # what taking the best of the mean would say


def test_given_noise_stands_in_for_seeds() -> None:
    course = [0.1, 0.2, 0.1]
    assert find_phases(course, noise=0.01).grew and not find_phases(course, noise=0.1).grew
    assert find_phases(course, noise=0.01).growth.standard_error == pytest.approx(0.01 * math.sqrt(2))


def test_seeds_without_scatter() -> None:
    found = find_phases([[0.1, 0.3, 0.2], [0.1, 0.3, 0.2]])
    assert found.grew and found.decorrelated and found.growth.p_value == 0
    still = find_phases([[0.1, 0.1], [0.1, 0.1]])
    assert not still.grew and not still.decorrelated and not find_phases(np.full(9, 0.5)).grew


def test_wrong_input_is_explained() -> None:
    with pytest.raises(ValueError, match="needs 8 values to estimate its noise, got 5"):
        find_phases([1, 2, 3, 2, 1])
    with pytest.raises(ValueError, match="steps must rise"):
        find_phases([[1, 2, 3]] * 2, [0, 2, 2])
    with pytest.raises(ValueError, match="must be finite"):
        find_phases([[1, math.nan, 3]] * 2)
    with pytest.raises(ValueError, match="2 steps or more"):
        find_phases([[1], [1]])
    with pytest.raises(ValueError, match="for one series only"):
        find_phases([[1, 2], [1, 2]], noise=0.1)
    with pytest.raises(ValueError, match="level is a p-value"):
        find_phases([1, 2], noise=0.1, level=1.5)


def rows(site: str, values: np.ndarray, measure: str = "nc") -> list[Row]:
    return [Row("", step, 0, site, measure, "{}", float(value), 100, 0) for step, value in enumerate(values)]


def test_the_watch_says_when_decorrelation_begins_and_once() -> None:
    turns: list[Turn] = []
    watch = PhaseWatch(then=turns.append)
    for one in rows("fc", noisy(RISE_AND_FALL, 1, 0.004)[0]):
        watch([one, *rows("fc", np.array([9.0]), measure="other")])
    assert [turn.phase for turn in turns] == ["growing", "decorrelating"]
    told = turns[1]
    assert 15 < told.step < 30 and abs(told.phases.peak - 14) <= 2 and watch.decorrelating


def test_sites_are_watched_apart() -> None:
    watch = PhaseWatch()
    assert not watch.decorrelating
    watch(rows("a", noisy(RISE_AND_FALL, 1, 0.004)[0]))
    assert watch.decorrelating
    watch(rows("b", np.append(noisy(np.linspace(0, 1, STEPS), 1, 0.01)[0], math.nan)))
    assert watch.phase("a") == "decorrelating" and watch.phase("b") == "growing" and not watch.decorrelating
    assert watch.phase("c") == "none yet"


def test_a_watch_over_noise_seldom_cries_wolf() -> None:
    alarms = 0
    for seed in range(200):
        watch = PhaseWatch(noise=1.0)
        watch(rows("fc", noisy(np.zeros(60), 1, 1.0, seed)[0]))
        alarms += watch.phase("fc") != "none yet"
    assert alarms / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_it_stops_a_training_as_a_trackers_sink() -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh())
    course = iter(noisy(RISE_AND_FALL, 1, 0.004)[0])
    watch = PhaseWatch("level")
    level = cofire.record.Measure(lambda x: next(course), sites="0", name="level")
    with cofire.Tracker(model, [level], every=1, sink=watch) as tracker:
        while not watch.decorrelating and tracker.steps < STEPS:
            model(torch.randn(8, 4))
            tracker.step()
    assert 15 < tracker.steps < 30


def test_one_of_several_measures_at_a_site_is_followed() -> None:
    turns: list[Turn] = []
    watch = PhaseWatch(then=turns.append)
    for step, value in enumerate(noisy(RISE_AND_FALL, 1, 0.004)[0]):
        one = Row("", step, 0, "fc", "nc", '{"compute_dtype": "float64"}', float(value), 100, 0)
        watch([one, one._replace(parameters='{"compute_dtype": "float32"}', value=float(step))])
    assert [turn.phase for turn in turns] == ["growing", "decorrelating"]


def test_a_watch_goes_back_with_the_training() -> None:
    course, told = noisy(RISE_AND_FALL, 1, 0.004)[0], []
    watch = PhaseWatch(then=lambda turn: told.append((turn.phase, turn.step)))
    series = rows("fc", course)
    watch(series)
    assert watch.decorrelating
    watch(series[3:4])
    assert watch.phase("fc") == "none yet"
    watch(series[4:])
    assert told[:2] == told[2:] and watch.decorrelating
    watch(series[-1:])  # once more, as of a measure that is taken again at an epoch's end
    assert len(told) == 4


@pytest.mark.parametrize(("wrong", "says"), [({"noise": 0.0}, "noise is a positive"), ({"level": 1.0}, "level is a p")])
def test_a_watch_refuses_before_training(wrong, says) -> None:
    with pytest.raises(ValueError, match=says):
        PhaseWatch(**wrong)


def test_a_watch_says_what_it_has_seen() -> None:
    watch = PhaseWatch(noise=0.01)
    for step, value in enumerate([0.10, 0.16, 0.24, 0.30]):
        watch([Row("run", step, 0, "fc", "nc", "{}", value, 1000, 0)])
    assert repr(watch) == "PhaseWatch('nc', noise=0.01, level=0.05, phases={'fc': 'growing'})"
