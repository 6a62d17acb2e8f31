"""The calibration in small, on the bundled digits, and its claims on made-up tables."""

import math
from collections.abc import Callable

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.tasks import Task
from cofire.papers.ours.gap_ranking import (
    FITTED,
    GAPS,
    GENERALIZATION,
    NUMBERS,
    described,
    networks,
    one_at_a_time,
    overall,
    ranks,
    run,
)

SMALL = {"data": "digits", "n_train": 60, "width": 8, "depth": 1, "weight_decay": 0.0, "batch_size": 20, "epochs": 200}


def trained(seed: int) -> dict[str, float]:
    rows = list(run(Task.of("ours.generalization", 1, SMALL, [seed])))
    assert {one.seed for one in rows} == {seed}
    return {one.measure: one.value for one in rows}


def test_a_network_is_trained_on_its_draw_until_it_fits_and_scored_on_it():
    found = trained(0)
    assert found.keys() == {*NUMBERS, *GAPS}
    assert FITTED / 10 < found["training loss"] <= FITTED
    assert 0 < found["accuracy gap"] < 1
    assert trained(0) == found
    assert trained(1)["loss gap"] != found["loss gap"]


def made(widths: range, numbers: Callable[[int], dict[str, float]], **settings: float) -> list[dict]:
    """Networks of these widths: their numbers (0 unless given) and gaps that grow with the width."""
    return [
        {**SMALL, "width": width, "seed": 0, **settings, "measure": name, "value": value}
        for width in widths
        for name, value in (dict.fromkeys(NUMBERS, 0.0) | dict.fromkeys(GAPS, width / 10) | numbers(width)).items()
    ]


def both(width: int) -> dict[str, float]:
    return {"weight correlation": width / 3, "neuronal correlation": 1 - width / 10, "parameter norm": width % 3}


def line(text: str, name: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(f"| {name} |"))


def test_what_ranks_perfectly_is_said_to():
    table = Table(made(range(1, 9), both))
    assert "1.00 (1.00 to 1.00)" in line(overall(table), "weight correlation")
    assert "-1.00 (-1.00 to -1.00)" in line(overall(table), "neuronal correlation")
    found = words(table)
    assert found["weight correlation: loss gap"] == "reproduced"
    assert found["neuronal correlation: accuracy gap"] == "not reproduced"
    assert found["parameter norm: loss gap"] == "inconclusive"
    rank = ranks(table, "weight correlation", "loss gap").number
    assert rank.effect == pytest.approx(1) and rank.n == 8


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {claim.name: claim.verdict(table, whole=whole).word for claim in GENERALIZATION.claims}


@pytest.mark.parametrize(("sign", "word"), [(1, "reproduced"), (-1, "not reproduced")])
def test_every_claim_can_pass_and_fail_at_any_scale(sign: int, word: str):
    table = Table(made(range(1, 13), lambda width: dict.fromkeys(NUMBERS, sign * (width + 1.5 * (width % 2)))))
    for whole in (True, False):
        assert set(words(table, whole=whole).values()) == {word}


def test_without_networks_or_with_one_number_for_all_nothing_is_said():
    assert set(words(Table([])).values()) == {"not at this scale"}
    assert set(words(Table(made(range(1, 9), lambda _: {}))).values()) == {"inconclusive"}


def test_networks_that_differ_in_their_seed_only_are_drawn_together():
    few = made(range(1, 6), lambda width: dict.fromkeys(NUMBERS, width + 2.5 * (width % 2)))
    many = [{**one, "seed": seed} for one in few for seed in range(10)]
    one, ten = (ranks(Table(rows), "parameter norm", "loss gap").number for rows in (few, many))
    assert ten.n == 50 and ten.error > 0.7 * one.error


def test_at_each_number_of_images_networks_are_ranked_among_themselves():
    few = made(range(1, 5), lambda width: {"neuronal correlation": 0.5 + width / 100})
    many = made(range(1, 5), lambda width: {"neuronal correlation": 0.1 + width / 100}, n_train=600)
    text = overall(Table(few + many))
    assert text.splitlines()[0] == (
        "| larger goes with a larger | accuracy gap | accuracy gap, 60 images | accuracy gap, 600 images |"
        " loss gap | loss gap, 60 images | loss gap, 600 images |"
    )
    assert line(text, "neuronal correlation").count("1.00 (1.00 to 1.00)") == 4


def test_one_setting_at_a_time_has_a_column_for_each_that_varies():
    table = Table(made(range(1, 4), both) + made(range(1, 4), both, n_train=600))
    text = one_at_a_time(table, "loss gap")
    assert text.splitlines()[0] == "|  | n_train | width |"
    assert "1.00 (1.00 to 1.00)" in line(text, "weight correlation")


def test_networks_without_a_number_are_counted_out():
    table = Table(made(range(1, 5), both) + made(range(9, 10), lambda _: {"neuronal correlation": math.nan}))
    usable, broken = networks(table)
    assert len(usable) == 4 and broken == 1
    assert described(table).startswith("4 of 5 networks have all numbers; training loss 0.000 to 0.000")
