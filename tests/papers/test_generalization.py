"""The calibration in small, on the bundled digits."""

import math

import pytest
import torch

from cofire.nets.generalization import GeneralizationScore, LayerScore
from cofire.papers.data import digits
from cofire.papers.generalization import (
    GAPS,
    NUMBERS,
    Trained,
    at_each_number_of_images,
    described,
    one_at_a_time,
    overall,
    swept,
    trained,
)
from cofire.papers.tasks import grid

SMALL = {"n_train": 60, "width": 8, "depth": 1, "weight_decay": 0.0, "batch_size": 20, "seed": 0}


def test_a_network_is_trained_on_its_draw_and_scored_on_it():
    found = trained(digits(), SMALL, epochs=200)
    assert set(found.gaps) == set(GAPS)
    assert found.score.loss <= 0.01
    assert 0 < found.gaps["accuracy gap"] < 1
    assert list(found.score.layers) == ["hidden1"]
    again = trained(digits(), SMALL, epochs=200)
    assert again.gaps == found.gaps
    assert trained(digits(), {**SMALL, "seed": 1}, epochs=200).gaps != found.gaps


def test_training_stops_once_the_data_are_fitted():
    short = trained(digits(), SMALL, epochs=200)
    assert 0.001 < short.score.loss <= 0.01


def test_the_sweep_trains_all_and_tells_of_them():
    found = swept(digits(), grid(**{**SMALL, "width": [4, 16], "n_train": [40, 120], "seed": [0, 1]}), epochs=5)
    assert len(found) == 8
    assert torch.get_num_threads() >= 1
    assert described(found).startswith("8 of 8 networks have all numbers; training loss ")
    lines = overall(found).splitlines()
    assert len(lines) == 2 + len(NUMBERS)
    assert all(line.count("(") - line.split("|")[1].count("(") == len(GAPS) for line in lines[2:])


def made(width: int, gap: float, correlation: float) -> Trained:
    score = GeneralizationScore({"a": LayerScore(correlation, (0.0, 1.0), 0.1 * width)}, 1.0, -gap, 0.0)
    return Trained({**SMALL, "width": width}, score, dict.fromkeys(GAPS, gap))


def test_what_ranks_perfectly_is_said_to():
    found = [made(width, gap=width / 10, correlation=1 - width / 10) for width in range(1, 6)]
    by_name = {line.split("|")[1].strip(): line for line in overall(found).splitlines()}
    assert "1.00 (1.00 to 1.00)" in by_name["weight correlation"]
    assert "1.00 (1.00 to 1.00)" in by_name["margin (negated)"]
    assert "-1.00 (-1.00 to -1.00)" in by_name["neuronal correlation"]


def test_at_each_number_of_images_networks_are_ranked_among_themselves():
    found = [made(width, gap=width / 10, correlation=0.5 + width / 100) for width in range(1, 5)]
    more = [made(width, gap=width / 100, correlation=0.9 + width / 100) for width in range(1, 5)]
    found += [Trained({**one.settings, "n_train": 600}, one.score, one.gaps) for one in more]
    text = at_each_number_of_images(found)
    assert text.splitlines()[0] == (
        "| larger goes with a larger | accuracy gap, 60 images | accuracy gap, 600 images |"
        " loss gap, 60 images | loss gap, 600 images |"
    )
    row = next(line for line in text.splitlines() if line.startswith("| neuronal correlation |"))
    assert row.count("1.00 (1.00 to 1.00)") == 4
    assert "1.00 (1.00" not in next(line for line in overall(found).splitlines() if line.startswith("| neuronal"))


def test_each_setting_has_a_column_and_undefined_networks_are_counted_out():
    found = swept(digits(), grid(**{**SMALL, "width": [4, 16], "depth": [1, 2], "n_train": [40, 80],
                                    "weight_decay": [0.0, 0.01], "batch_size": [10, 20]}), epochs=1)  # fmt: skip
    header = one_at_a_time(found, "loss gap").splitlines()[0]
    assert all(axis in header for axis in SMALL if axis != "seed")
    assert "seed" not in header
    broken = [*found, made(3, gap=1.0, correlation=math.nan)]
    assert described(broken).startswith("32 of 33 networks")
    with pytest.raises(ValueError, match="differ in 'depth' only"):
        one_at_a_time([one for one in found if one.settings["depth"] == 1], "loss gap")
