"""What a measure adds to its statistic: a limit on samples, cautions once a site, identity."""

import warnings

import pytest
import torch
from torch import nn

from cofire.record import Cautioned, Measure, NotMeasured, Tracker, correlation
from cofire.record.measures import as_measures
from cofire.record.recording import Plan, take
from cofire.record.schedule import EverySteps


def mean_of_first(x):
    return float(x[:, 0].mean())


class TestMaxSamples:
    def test_a_random_choice_in_order_the_same_each_time(self):
        measure = Measure(mean_of_first, max_samples=50)
        x = torch.arange(1000.0)[:, None]
        (taken,) = measure.limited((x,))
        assert len(taken) == 50 and (taken.diff(dim=0) > 0).all()
        assert not torch.equal(taken[:, 0], torch.arange(50.0))
        assert torch.equal(taken, measure.limited((x,))[0])

    def test_before_and_after_keep_the_same_rows(self):
        measure = Measure(lambda before, after: 0.0, stage="both", name="both", max_samples=9)
        x = torch.randn(100, 3)
        before, after = measure.limited((x, 2 * x))
        assert torch.equal(2 * before, after)

    def test_fewer_samples_are_left_alone(self):
        inputs = (torch.randn(5, 2),)
        assert Measure(mean_of_first, max_samples=5).limited(inputs) is inputs

    def test_the_global_generator_is_left_alone(self):
        state = torch.get_rng_state()
        Measure(mean_of_first, max_samples=2).limited((torch.zeros(5, 1),))
        assert torch.equal(state, torch.get_rng_state())

    def test_rows_state_the_limit_and_how_many_samples_there_were(self):
        model, x = nn.Sequential(nn.Linear(3, 4)), torch.randn(20, 3)
        [task] = Plan.of(model, [Measure(mean_of_first, max_samples=8)], EverySteps(1)).tasks
        [found] = take(task, {"0": (model(x),)}, set(), {})
        assert found.n_samples == 8 and found.parameters == '{"max_samples": 8}'

    def test_it_is_part_of_the_identity(self):
        assert Measure(mean_of_first, max_samples=8) != Measure(mean_of_first)
        assert Measure(mean_of_first, max_samples=8) == Measure(mean_of_first, max_samples=8)

    @pytest.mark.parametrize("limit", [0, -1, 2.5, True, "all"])
    def test_refuses_what_is_no_number_of_samples(self, limit):
        with pytest.raises(ValueError, match="max_samples must be a whole number"):
            Measure(mean_of_first, max_samples=limit)

    def test_weights_are_no_samples(self):
        with pytest.raises(ValueError, match="weights"):
            Measure(mean_of_first, stage="weights", max_samples=5)


class TestCautions:
    def test_each_site_is_warned_of_once(self):
        def always(x):
            return Cautioned({"a": 1.0}, "mind this", NotMeasured)

        measure = Measure(always)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for site in ("fc1", "fc2", "fc1", "fc2"):
                assert measure.values((torch.zeros(2, 2),), site=site) == {"a": 1.0}
        assert [str(one.message) for one in caught] == ["always at fc1: mind this", "always at fc2: mind this"]
        assert {one.category for one in caught} == {NotMeasured}

    def test_a_training_loop_is_told_once_and_records_all(self):
        def always(x):
            return Cautioned({"a": 1.0}, "mind this")

        rows = []
        model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Tracker(model, [Measure(always, sites=nn.Linear)], every=1, sink=rows.extend) as tracker:
                for _ in range(5):
                    model(torch.randn(4, 2))
                    tracker.step()
        assert len(rows) == 10 and len(caught) == 2

    def test_values_within_a_caution_must_be_numbers_too(self):
        measure = Measure(lambda x: Cautioned({"a": "much"}, ""), name="words")
        with pytest.warns(UserWarning), pytest.raises(ValueError, match="must return numbers, got str"):
            measure.values((torch.zeros(2, 2),))


def test_a_maker_of_measures_is_no_measure():
    with pytest.raises(ValueError, match=r"call it: correlation\(\)"):
        Tracker(nn.Linear(2, 3), [correlation])
    assert as_measures([correlation()]) == [correlation()]
