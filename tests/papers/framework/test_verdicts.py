"""The rules of verdicts, one by one; simulations count how often each word is said."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.estimates import Estimate, Share, mean_of
from cofire.papers.framework.verdicts import Bar, Part, Verdict, depending, drift, judge, part, share, with_holm

GROWS = Bar(above=0, margin=0.01)
CLOSE = Bar(above=-0.3, below=0.3)


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def words(make: Callable[[np.random.Generator], Verdict], n: int = 400) -> Counter[str]:
    generator = np.random.default_rng(0)
    return Counter(make(generator).word for _ in range(n))


def normal(generator: np.random.Generator, mean: float, deviation: float, n: int) -> dict[int, float]:
    return dict(enumerate(generator.normal(mean, deviation, n)))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "give above, below or both"),
        ({"above": 0}, "needs a margin"),
        ({"below": 0}, "needs a margin"),
        ({"above": 1, "below": 0}, "no number can meet"),
        ({"above": 0, "below": 0.1, "margin": 0.05}, "no number can meet"),
        ({"above": 0, "margin": -1}, "no number can meet"),
    ],
)
def test_a_bar_that_nothing_can_fail_or_meet_is_refused(bounds: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bar(**bounds)


def test_the_whole_interval_decides() -> None:
    assert judge(part(seeds(1.0, 1.1, 0.9)), GROWS).word == "reproduced"
    assert judge(part(seeds(0.5, -0.4, 0.1)), GROWS).word == "inconclusive"
    assert judge(part(seeds(-1.0, -1.1, -0.9)), GROWS).word == "not reproduced"
    assert judge(part(seeds(0.1, 0.0, -0.1)), CLOSE).word == "reproduced"
    assert judge(part(seeds(0.9, 1.0, 1.1)), CLOSE).word == judge(part(seeds(-0.9, -1.0, -1.1)), CLOSE).word
    assert judge(part(seeds(0.9, 1.0, 1.1)), CLOSE).word == "not reproduced"


def test_a_negligible_effect_is_none_however_sure() -> None:
    found = judge(part(seeds(0.0019, 0.002, 0.0021, 0.002)), GROWS)
    assert found.word == "not reproduced" and found.number.effect == pytest.approx(0.002)


def test_a_true_zero_is_refuted_once_there_are_enough_repetitions() -> None:
    few = words(lambda rng: judge(part(normal(rng, 0.0, 0.05, 5)), GROWS))
    many = words(lambda rng: judge(part(normal(rng, 0.0, 0.05, 500)), GROWS))
    assert few["inconclusive"] > 0.85 * 400 and few["reproduced"] <= 0.025 * 400
    assert many["not reproduced"] > 0.98 * 400 and many["reproduced"] == 0


def test_at_the_bar_either_word_is_rare() -> None:
    found = words(lambda rng: judge(part(normal(rng, 0.01, 0.05, 8)), GROWS), 2000)
    for word in ("reproduced", "not reproduced"):
        assert 0.012 < found[word] / 2000 < 0.04  # 2.5 % each


def test_an_effect_that_matters_is_found() -> None:
    assert words(lambda rng: judge(part(normal(rng, 0.1, 0.05, 10)), GROWS))["reproduced"] > 0.95 * 400


def test_a_rising_series_has_not_not_fallen() -> None:
    rising = part(seeds(0.0, 0.0, 0.0), censored="still rising at step 300")
    found = judge(rising, GROWS)
    assert found.word == "not at this scale" and "step 300" in found.note
    assert judge(rising, GROWS, reduction="none").word == "not at this scale"
    fallen = part(seeds(0.5, 0.5, 0.6), censored="still rising at step 300")
    assert judge(fallen, GROWS).word == "reproduced"


def test_a_smaller_run_refutes_only_what_has_settled() -> None:
    values = seeds(-0.1, -0.11, -0.09)
    assert judge(part(values), GROWS).word == "not reproduced"
    assert judge(part(values), GROWS, whole=False).word == "not at this scale"
    assert judge(part(values), GROWS, whole=False, reduction="an identity").word == "not reproduced"
    still, moving = (mean_of(seeds(*change)) for change in ((0.001, 0.0, -0.001), (0.05, 0.04, 0.06)))
    assert judge(part(values, trend=still), GROWS, whole=False).word == "not reproduced"
    found = judge(part(values, trend=moving), GROWS, whole=False)
    assert found.word == "not at this scale" and "still moved by 0.05" in found.note
    assert judge(part(values, reduced="8 of 100 epochs"), GROWS).note.endswith("8 of 100 epochs")
    assert judge(part(seeds(0.5, 0.6, 0.55)), GROWS, whole=False).word == "reproduced"


def test_divergence_is_no_effect() -> None:
    own = judge(Part(diverged="diverged in 5 of 5"), GROWS)
    assert own.word == "not reproduced" and math.isnan(own.number.effect) and own.note == "diverged in 5 of 5"
    reference = judge(Part(diverged="HUGE diverged", reference_diverged=True), GROWS)
    assert reference.word == "inconclusive" and math.isnan(reference.number.effect)
    assert judge(part(seeds(1.0, math.nan)), GROWS).note == "a value is not finite"


def test_nothing_is_said_without_numbers() -> None:
    assert judge(part(seeds()), GROWS).note == "no values"
    one = judge(part(seeds(5.0)), GROWS)
    assert one.word == "inconclusive" and one.number.effect == 5 and "one repetition" in one.note
    with pytest.raises(ValueError, match="at least one part"):
        judge({}, GROWS)


def test_the_part_that_is_furthest_from_passing_is_shown_in_its_own_errors() -> None:
    sure = part(seeds(-0.10, -0.11, -0.09), "sure")  # .12 short, but by many standard errors
    unsure = part(seeds(-1.0, -2.0, -4.0, -5.0), "unsure")  # 3 short
    good = part(seeds(9.0, 9.1, 9.2), "good")
    found = judge({"a": unsure, "b": sure, "c": good}, GROWS)
    assert found.word == "not reproduced" and found.note == "b: sure" and found.passed == (1, 3)
    assert judge({"a": good, "b": part(seeds(0.5, -0.5), "open")}, GROWS).note == "b: open"


def test_among_parts_that_pass_the_weakest_is_shown() -> None:
    strong, weak = part(seeds(5.0, 5.1, 5.2)), part(seeds(0.05, 0.06, 0.07), "weak")
    found = judge({"strong": strong, "weak": weak}, GROWS)
    assert found.word == "reproduced" and found.note == "weak: weak" and found.passed == (2, 2)
    assert found.p == pytest.approx(GROWS.p_met(weak.number))


def test_parts_of_one_sample_are_one() -> None:
    bad, good = part(seeds(-1.0, -1.1), sample="networks"), part(seeds(1.0, 1.1), sample="networks")
    assert judge({"layer 1": bad, "layer 2": good, "layer 3": good}, GROWS).passed == (0, 1)
    assert judge({"layer 1": good, "layer 2": good}, GROWS).passed == (1, 1)


def test_more_samples_do_not_refute_more_often() -> None:
    """The worst of many numbers at the bar is often low by chance; of one sample it is one number many times."""

    def many(rng: np.random.Generator, one_sample: bool) -> Verdict:
        own = normal(rng, 0.01, 0.05, 8)
        parts = {
            str(index): part(own if one_sample else normal(rng, 0.01, 0.05, 8), sample="one" if one_sample else "")
            for index in range(10)
        }
        return judge(parts, GROWS)

    for one_sample in (True, False):
        found = words(lambda rng, one_sample=one_sample: many(rng, one_sample), 1000)
        assert found["not reproduced"] / 1000 < 0.045, one_sample


def test_a_choice_that_decides_is_told() -> None:
    yes, no, open_ = Verdict("reproduced", p=1e-4), Verdict("not reproduced", p=1e-4), Verdict("inconclusive")
    far = Verdict("not at this scale")
    found = depending("initialization", {"He": yes, "torch": no})
    assert found.word == "depends" and found.choice == "initialization" and dict(found.readings)["torch"] == no
    assert depending("init", {"a": yes, "b": yes}).word == "reproduced"
    assert depending("init", {"a": no, "b": no}).word == "not reproduced"
    assert depending("init", {"a": yes, "b": open_}).word == "inconclusive"
    assert depending("init", {"a": no, "b": far, "c": open_}).word == "not at this scale"
    assert depending("init", {"a": yes, "b": no, "c": far}).word == "depends"
    assert depending("init", {"a": yes, "b": yes}).decided and not depending("init", {"a": yes, "b": open_}).decided
    with pytest.raises(ValueError, match="at least two readings"):
        depending("init", {"a": yes})


def test_holm_marks_what_stands_alone_only() -> None:
    p = [0.001, 0.008, 0.011, 0.02]  # limits .00625, .00833, .0125, .025
    assert [one.fragile for one in with_holm([Verdict("reproduced", p=x) for x in p])] == [False] * 4
    found = with_holm([Verdict("reproduced", p=x) for x in (0.001, 0.009, 0.011, 0.02)])
    assert [one.fragile for one in found] == [False, True, True, True]  # once one fails, so do all after it
    alone = with_holm([Verdict("reproduced", p=0.02)])
    assert not alone[0].fragile
    with_open = with_holm([Verdict("reproduced", p=0.02), Verdict("inconclusive"), Verdict("not at this scale")])
    assert [one.fragile for one in with_open] == [True, False, False]
    readings = depending("x", {"a": Verdict("reproduced", p=0.02), "b": Verdict("not reproduced", p=1e-9)})
    marked = with_holm([readings])[0]
    assert marked.fragile is False and [one.fragile for _, one in marked.readings] == [False, False]
    marked = with_holm([readings, Verdict("inconclusive")])[0]
    assert marked.fragile and [one.fragile for _, one in marked.readings] == [True, False]


def test_holm_keeps_false_words_rare_over_a_figure() -> None:
    generator = np.random.default_rng(3)

    def any_false(corrected: bool) -> bool:
        found = [judge(part(normal(generator, 0.01, 0.05, 8)), GROWS) for _ in range(20)]
        return any(one.decided and not (corrected and one.fragile) for one in with_holm(found))

    alone, together = (np.mean([any_false(corrected) for _ in range(150)]) for corrected in (False, True))
    assert alone > 0.4 and together < 0.12


def test_a_share_is_judged_by_the_binomial_distribution() -> None:
    half = Bar(above=0.4, margin=0.1)
    assert judge(Part(Share(6, 6)), half).word == "reproduced"
    assert judge(Part(Share(0, 6)), half).word == "not reproduced"
    assert judge(Part(Share(5, 5)), half).word == "inconclusive"
    assert share(seeds(1.0, 0.0, 1.0)) == Share(2, 3)


def test_drift_is_over_the_second_half() -> None:
    rows = [{"seed": seed, "epoch": e, "value": e / 10 + seed} for seed in (0, 1) for e in (0, 4, 9, 20)]
    found = drift(lambda table: table.per_seed(), Table(rows))
    assert found.effect == pytest.approx(1.1) and found.n == 2  # 9 is nearest to the middle


def test_a_zero_error_does_not_divide() -> None:
    certain = Estimate(0.0, 0.0, 2, 3)
    assert GROWS.slack(certain) == -math.inf and GROWS.slack(Estimate(1.0, 0.0, 2, 3)) == math.inf
    assert judge(Part(certain), GROWS).word == "not reproduced"
