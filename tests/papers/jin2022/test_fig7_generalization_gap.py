from collections.abc import Mapping
from itertools import product

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.verdicts import Verdict
from cofire.papers.jin2022.fig7_generalization_gap import (
    ACT,
    CONVOLUTIONAL,
    DENSE,
    DROP,
    FIG7,
    NETWORKS,
    PER_CHANNEL,
    POOL,
    READ_OFF,
    RECIPES,
    at_start_and_end,
    gap,
)
from cofire.papers.jin2022.jin_networks import penultimate

PAPER = {**READ_OFF, "N6": 0.10, "N7": 0.15}
REVERSE = {"N3": 0.60, "N4": 0.50, "N5": 0.28, "N6": 0.95, "N7": 0.70}
STILL = {0: 1.0, 1: 1.0, 5: 1.0, 10: 1.0}
RESTLESS = {0: 1.0, 1: 1.8, 5: 1.4, 10: 1.0}
Numbers = Mapping[str, float]


def rows(
    nc: Numbers, gaps: Numbers, wc: Numbers | None = None, *, behind: float = 0.5, course: Mapping[int, float] = STILL
) -> Table:
    """NC and WC of every network, which follow a course over epochs, and scores that differ by the gap.

    Behind pooling and masks, NC is multiplied by ``behind``. WC is a half of NC if not given.
    """
    weights = wc or {name: value / 2 for name, value in nc.items()}
    found: list[dict[str, object]] = []
    for name, recipe, activation, epoch in product(NETWORKS, RECIPES, ("relu", "tanh"), course):
        if name in CONVOLUTIONAL and recipe != "adam":
            continue
        layer, at, w = penultimate(name), nc[name] * course[epoch], weights[name] * course[epoch]
        numbers = [
            (layer, "nc", at),
            *((layer, measure, w) for measure in ("wc", "wc_signed", "wc_median")),
            *((layer, f"wc_{side}_quartile", w) for side in ("lower", "upper")),
            *((layer, f"{measure} {PER_CHANNEL}", w) for measure in ("wc", "wc_median")),
            *(("", score, 0.99) for score in ("accuracy", "test_loss")),
            *(("", score, 0.99 - gaps[name]) for score in ("test_accuracy", "loss")),
        ]
        if name in CONVOLUTIONAL:
            numbers += [(ACT, "nc", at), (POOL, "nc", at * behind)]
            if epoch == max(course):
                numbers += [(DROP, "entering", at), (DROP, "dropped", at * behind)]
        settings = {"network": name, "recipe": recipe, "activation": activation, "epoch": epoch}
        found += [{**settings, "site": site, "measure": measure, "value": value} for site, measure, value in numbers]
    return Table({**one, "value": one["value"] + seed / 10_000, "seed": seed} for one in found for seed in range(3))


def verdicts(table: Table, *, whole: bool = True) -> dict[str, Verdict]:
    return {claim.name: claim.verdict(table, whole=whole) for claim in FIG7.claims}


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {name: found.word for name, found in verdicts(table, whole=whole).items()}


LIKE_PAPER = rows(PAPER, PAPER)


def test_as_the_paper_has_it() -> None:
    for whole in (True, False):
        assert set(words(LIKE_PAPER, whole=whole).values()) == {"reproduced"}


def test_the_other_way_round() -> None:
    table = rows(REVERSE, REVERSE, behind=1.1, course=RESTLESS)
    found = words(table)
    # where NC and gap both fall from network to network, they still go together
    assert found.pop("NC and gap") == found.pop("WC and gap") == "reproduced"
    assert set(found.values()) == {"not reproduced"}
    against = words(rows(PAPER, REVERSE))
    assert against["NC and gap"] == against["WC and gap"] == "not reproduced"


def test_a_short_run_refutes_only_what_has_come_to_rest() -> None:
    still, moving = (words(rows(REVERSE, REVERSE, course=course), whole=False) for course in (STILL, RESTLESS))
    assert still["NC, dense"] == still["convolutions, NC"] == still["NC as printed"] == "not reproduced"
    assert moving["NC, dense"] == moving["convolutions, NC"] == moving["NC as printed"] == "not at this scale"
    assert moving["NC, dense, at initialization"] == "not reproduced"  # nothing is trained


def test_the_reading_of_weight_correlation_decides() -> None:
    signed = Table({**row, "value": 0.0} if row["measure"] == "wc_signed" else row for row in LIKE_PAPER)
    found = verdicts(signed)["WC, dense"]
    assert found.word == "depends" and dict(found.readings)["as printed, signed"].word == "not reproduced"
    high = {"wc": 0.273, "wc_median": 0.273}
    per_channel = Table(
        {**row, "value": high[row["measure"].split()[0]] - 0.13 * (row["network"] == "N7")}
        if row["measure"].endswith(PER_CHANNEL)
        else row
        for row in LIKE_PAPER
    )
    found = verdicts(per_channel)
    for name in ("WC, convolutional", "convolutions, WC"):
        assert found[name].word == "depends", name
        assert {told: one.word for told, one in found[name].readings} == {
            "a kernel is one vector": "reproduced",
            PER_CHANNEL: "not reproduced",
        }


def test_the_optimizer_decides() -> None:
    other = rows(REVERSE, REVERSE, course=RESTLESS).where(recipe="sgd")
    found = verdicts(Table([*LIKE_PAPER.where(recipe=["adam", "few"]), *other]))
    for name in ("NC as printed", "NC is stable", "NC, dense", "gap, dense"):
        assert found[name].word == "depends", name
        assert all((one.word == "reproduced") == told.endswith("Adam") for told, one in found[name].readings), name


def test_the_gap_decides() -> None:
    """The gap of accuracy grows as the paper has it; that of the loss falls."""
    by_loss = rows(PAPER, REVERSE).where(measure=["loss", "test_loss"])
    table = Table([*(row for row in LIKE_PAPER if not row["measure"].endswith("loss")), *by_loss])
    found = verdicts(table)
    gaps = ("gap, dense", "gap, dense, few images", "gap, convolutional", "convolutions, gap")
    for name in (*gaps, "NC and gap", "WC and gap"):
        assert found[name].word == "depends", name
        assert all((one.word == "reproduced") == told.startswith("accuracy") for told, one in found[name].readings)


def test_claims_that_need_a_network_that_is_missing_are_not_at_this_scale() -> None:
    n6_n7 = {"WC, convolutional", "NC, convolutional", "gap, convolutional", "pooling lowers NC", "dropout lowers NC"}
    both = {"convolutions, NC", "convolutions, WC", "convolutions, gap"}
    for missing, lost in (("N4", words(LIKE_PAPER).keys() - n6_n7), ("N7", n6_n7 | both)):
        found = words(LIKE_PAPER.where(network=lambda name, missing=missing: name != missing))
        assert {name for name, word in found.items() if word == "not at this scale"} == lost
        assert {word for name, word in found.items() if name not in lost} <= {"reproduced"}
    assert set(words(Table([])).values()) == {"not at this scale"}


def test_without_sgd_the_optimizer_is_open() -> None:
    found = words(LIKE_PAPER.where(recipe=["adam", "few"]))
    lost = {name for name, word in found.items() if word == "not at this scale"}
    assert lost == {"NC as printed", "NC is stable", "NC, dense", "gap, dense", "NC and gap", "WC and gap"}


def test_networks_of_more_seeds_are_compared_at_the_seeds_that_all_have() -> None:
    more = [{**row, "seed": 3 + row["seed"], "value": 9.0} for row in LIKE_PAPER if row["network"] in DENSE]
    found, before = verdicts(Table([*LIKE_PAPER, *more])), verdicts(LIKE_PAPER)
    for name in ("convolutions, NC", "convolutions, WC"):
        assert found[name] == before[name]
    assert found["NC, dense"].number.n == 6 and found["convolutions, gap"].number.n == 3
    counts = {(task["network"], task["recipe"]): len(task.seeds) for task in FIG7.tasks("quick")}
    assert {counts[name, "adam"] for name in DENSE} == {10} and {counts[name, "adam"] for name in CONVOLUTIONAL} == {3}


def test_the_gap_is_positive_where_the_test_is_worse() -> None:
    part = LIKE_PAPER.where(network="N3", recipe="adam", activation="relu").last()
    assert gap(part)[0] == pytest.approx(READ_OFF["N3"]) and gap(part, "loss")[0] == pytest.approx(READ_OFF["N3"])


def test_the_figure_draws_every_network_that_was_run() -> None:
    drawn = FIG7.figures["fig7"](LIKE_PAPER)
    assert [axis.get_title() for axis in drawn.axes[:5]] == list(NETWORKS)
    without = FIG7.figures["fig7"](LIKE_PAPER.where(network=list(DENSE)))
    assert [axis.texts[0].get_text() for axis in without.axes[3:5]] == ["not run"] * 2


def test_the_table_has_a_line_for_each_network_and_way_to_train() -> None:
    lines = at_start_and_end(LIKE_PAPER).splitlines()
    assert len(lines) == 2 + 2 * (3 * len(DENSE) + len(CONVOLUTIONAL))
    assert lines[2].startswith("| N3 | relu | adam | 0.22 → 0.22 |")
