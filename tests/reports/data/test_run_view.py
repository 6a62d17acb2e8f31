import json
from pathlib import Path

import numpy as np
import pytest

from cofire.record import Run
from cofire.record.runs.rows import Row
from cofire.reports import read
from cofire.reports.data.run_view import Layer, Series, View, group

from ..conftest import row


def test_layers_come_in_the_models_order(make_run) -> None:
    layers = {"stem": 0.1, "block.10": 0.2, "block.2": 0.3, "a": 0.1}
    with Run.open(make_run(layers)) as run:
        view = read(run)
    assert [layer.name for layer in view.measured] == list(layers)
    assert len(view.layers) == 2 * len(layers)


def test_unlisted_sites_follow_with_numbers_counting(make_run) -> None:
    sites = ["z#10", "z#9", "rnn.ih_l0.n", "known"]
    rows = [row("run", 0, site, "wc", 0.1) for site in sites]
    with Run.open(make_run({"rnn": 0.2, "known": 0.1}, rows=rows[:3])) as run:
        names = [layer.name for layer in read(run).measured]
    assert names == ["rnn", "rnn.ih_l0.n", "known", "z#9", "z#10"]


def test_before_the_activation_is_hidden_where_after_it_was_measured() -> None:
    after, before = Layer("a", {"nc": Series((0,), (0.1,))}), Layer("a:pre", {"nc": Series((0,), (0.1,))})
    weights = Layer("a", {"wc": Series((0,), (0.1,))})
    assert View("run", (after, before)).measured == (after,)
    assert View("run", (weights, before)).measured == (weights, before)
    assert View("run", (before,)).measured == (before,)


def test_rows_become_series_of_the_first_parameters_in_order_of_steps() -> None:
    rows = [
        Row("r", 5, 0, "fc", "nc", "{}", 0.5, 10, 0),
        Row("r", 0, 0, "fc", "nc", "{}", 0.1, 10, 0),
        Row("r", 0, 0, "fc", "nc", '{"k": 1}', 0.9, 10, 0),
    ]
    assert group(rows)["fc"]["nc"] == Series((0, 5), (0.1, 0.5), 10)


def test_the_latest_arrays_are_read(make_run) -> None:
    with Run.open(make_run({"a": 0.4})) as run:
        (layer,) = read(run).measured
    assert layer.constant_units == [0]
    assert (46, 47) in [pair[:2] for pair in layer.duplicates]
    assert np.asarray(layer.arrays["histogram"]).sum() == 47 * 46 / 2


@pytest.mark.parametrize(
    ("facts", "hidden"),
    [
        ({}, ["stem", "aux"]),  # the last in the model's order
        ({"outputs": ["aux", "head"]}, ["stem"]),
        ({"outputs": ["aux"]}, ["stem", "head"]),
        ({"outputs": []}, ["stem", "aux", "head"]),
        ({"left_out": {"head": "no units"}}, ["stem", "head"]),
    ],
)
def test_output_layers_are_those_that_the_run_names_or_else_the_last(facts, hidden, make_run) -> None:
    directory: Path = make_run({"stem": 0.1, "aux": 0.2, "head": 0.3})
    written = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(written | facts))
    with Run.open(directory) as run:
        view = read(run)
    assert [layer.name for layer in view.hidden] == hidden
    assert "outputs" not in view.made


def test_what_is_assumed_of_layers_that_were_recorded_is_read(make_run) -> None:
    directory: Path = make_run({"fc": 0.1, "head": 0.3}, rows=[row("run", 0, "rnn.ih_l0.new", "wc", 0.1)])
    written = json.loads((directory / "run.json").read_text())
    assumed = dict.fromkeys(["fc", "rnn", "other", "he"], "assumed: it could not be followed")
    (directory / "run.json").write_text(json.dumps(written | {"assumed": assumed}))
    with Run.open(directory) as run:
        view = read(run)
    assert list(view.assumed) == ["fc", "rnn"] and "assumed" not in view.made


@pytest.mark.parametrize("facts", ["{", "[]", "3", '{"model": [1]}', '{"left_out": [1]}', '{"assumed": [1]}'])
def test_a_damaged_run_is_refused_in_words(facts: str, make_run) -> None:
    directory: Path = make_run({"a": 0.4})
    (directory / "run.json").write_text(facts)
    with Run.open(directory) as run, pytest.raises(ValueError, match="damaged"):
        read(run)


def test_an_empty_view_has_no_step() -> None:
    assert View("run").last_step is None


def test_arrays_of_all_steps_are_read(make_run) -> None:
    with Run.open(make_run({"a": 0.4}, arrays_at=(0, 300, 1000))) as run:
        (layer,) = read(run).measured
    assert list(layer.at_steps("correlation")) == [0, 300, 1000] and layer.at_steps("nothing") == {}
    assert layer.arrays["correlation"] is layer.at_steps("correlation")[1000]


def test_the_last_arrays_alone_are_read_in_their_own_time(make_run) -> None:
    with Run.open(make_run({"a": 0.4}, arrays_at=(0, 300, 1000))) as run:
        (layer,) = read(run, history=False).measured
    assert list(layer.at_steps("correlation")) == [1000] and layer.constant_units == [0]


def test_without_a_history_arrays_are_those_of_the_last_recording() -> None:
    layer = Layer("a", {"nc": Series((0, 7), (0.1, 0.2))}, {"histogram": np.ones(3)})
    assert list(layer.at_steps("histogram")) == [7]
