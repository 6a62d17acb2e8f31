"""Advice names only what shrink can do, with its predicted cost and the command."""

import math

from cofire.nets.shrinking import Forecast, Point
from cofire.reports.findings.finding import Finding
from cofire.reports.findings.shrink_findings import Advice, what_can_go, with_advice

CURVE = (Point(0.899, 0.01), Point(0.698, 0.04), Point(0.499, 0.2))


def made(*, layers=("fc1",), left=None, spare=None, curve=CURVE) -> Advice:
    forecast = Forecast(frozenset(layers), left or {"out": "its units are the network's outputs"}, spare or {}, 0.95,
                        curve, 1000, (400, 200))  # fmt: skip
    return Advice(forecast, "cofire shrink nets:build --data digits")


def test_the_command_keeps_the_smallest_share_at_a_small_error():
    [found] = what_can_go(made())
    assert found.level == "note" and "1 layer" in found.headline
    assert ("70 % of the parameters", "4 %") in found.points
    assert found.command == "cofire shrink nets:build --data digits --keep 0.7 --out smaller"


def test_without_a_cheap_size_the_command_cuts_what_is_spare_or_limits_the_loss():
    dear = (Point(0.9, 0.3), Point(0.8, None), Point(0.7, math.nan))
    [found] = what_can_go(made(spare={"fc1": 3}, curve=dear[:1]))
    assert found.points[0] == ("95 % of the parameters", "no error: 3 units that others explain")
    assert found.command.endswith("--data digits --out smaller")
    cheap = Forecast(frozenset({"fc1"}), {}, {"fc1": 3}, 0.6, CURVE, 1000, (400, 200))
    [found] = what_can_go(Advice(cheap, "cofire shrink"))  # at 90 and 70 % there would be no error either
    assert [name for name, _ in found.points] == ["60 % of the parameters", "50 % of the parameters"]
    [found] = what_can_go(made(curve=dear[:1]))
    assert found.command.endswith("--max-loss 0.05 --out smaller")


def test_a_network_that_cant_be_cut_gets_no_command():
    [found] = what_can_go(made(layers=()))
    assert found.advice == "" and found.points == (("out", "its units are the network's outputs"),)
    assert what_can_go(None) == []


def test_a_finding_says_in_which_of_its_layers_units_can_go():
    narrower = Finding("narrower", "act", "Fewer units would suffice", (("fc1", "3"), ("lstm", "4"), ("…", "1 more")))
    told = with_advice(narrower, made(left={"lstm": "its units are fixed"})).advice
    assert told == "cofire shrink can cut fc1. It can't cut lstm: its units are fixed."
    assert "With the model and data" in with_advice(narrower, None).advice
    outputs = Finding("copies", "note", "Outputs copy others", (("out", "3"),))
    assert with_advice(outputs, made()) == outputs
    trend = Finding("trend", "act", "Correlation rose", (("fc1", "3"),))
    assert with_advice(trend, made()) == trend
