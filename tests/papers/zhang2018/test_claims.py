"""Figures 2, 3 and B.1 share their networks; so do these tables."""

from collections.abc import Callable

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.framework.experiment import Experiment
from cofire.papers.zhang2018 import FIG2, FIG3, FIGB1
from cofire.papers.zhang2018.zhang_networks import LAYERS

WIDTHS = 20, 50, 200, 1000
EPOCHS = 0, 75, 150, 300
PAPER = {"data": "mnist", "n_train": 60_000, "batch_size": 32, "learning_rate": 0.001}

Numbers = dict[str, Callable[[int, str, float], float]]
"""Each measure of a layer by width, layer and the share of training that is over."""


def constant(value: float) -> Callable[[int, str, float], float]:
    return lambda width, layer, done: value


def accuracy(width: int, layer: str, done: float) -> float:
    return 0.6 if width <= 20 else 0.5 + 0.498 * min(1, 10 * done)


def falling_iota(width: int, layer: str, done: float) -> float:
    return 0.3 if layer == "output" else 0.012 + (0 if width >= 1000 else 3 / width) * done


def rows(numbers: Numbers, *, seeds: int = 5, moments: tuple[int, ...] = EPOCHS) -> Table:
    """Make the rows of both activation functions; each repetition differs by a thousandth."""
    return Table(
        {
            **PAPER,
            "epochs": moments[-1],
            "activation": activation,
            "width": width,
            "site": layer,
            "epoch": epoch,
            "measure": name,
            "seed": seed,
            "value": number(width, layer, epoch / moments[-1]) * (1 + (seed % 3) / 1000),
        }
        for activation in ("relu", "tanh")
        for width in WIDTHS
        for name, number in numbers.items()
        for layer in ([""] if name.endswith("accuracy") else LAYERS)
        for epoch in moments
        for seed in range(3 if width >= 500 else seeds)
    )


def words(table: Table, *experiments: Experiment, whole: bool = True) -> dict[str, str]:
    return {
        f"{one.name.partition('.')[2]} {claim.name}": claim.verdict(table, whole=whole).word
        for one in experiments or (FIG2, FIG3, FIGB1)
        for claim in one.claims
    }


def confirming() -> Numbers:
    """Numbers for which every claim holds."""
    return {
        "entropy": lambda width, layer, done: 2 + 0.5 * (width > 20) + 4 * done / width,
        "shift": lambda width, layer, done: 4 * done / width,
        "negentropy": constant(0.01),
        "iota": falling_iota,
        "threshold": constant(0.014),
        "total_correlation": lambda width, layer, done: 0.064 + 10 / width,
        "accuracy": accuracy,
        "test_accuracy": constant(0.97),
    }


def test_numbers_as_the_paper_has_them_reproduce_every_claim() -> None:
    assert set(words(rows(confirming())).values()) == {"reproduced"}


REFUTED: dict[str, tuple[Numbers, set[str]]] = {
    "the entropy changes at every width": (
        {"entropy": lambda width, layer, done: 2 + done + 0.5 * (width > 20), "shift": lambda width, layer, done: done},
        {"fig2 ΔH vanishes", "fig2 ΔH falls", "figB1 ΔH vanishes", "figB1 ΔH falls"},
    ),
    "accuracy is low": ({"accuracy": lambda width, layer, done: 0.9 * accuracy(width, layer, done)}, {"fig2 accuracy"}),
    "units are not normal, from the start": (
        {"negentropy": constant(0.3)},
        {
            "fig2 normal before training",
            "fig2 normal after training",
            "figB1 normal before training",
            "figB1 normal after training",
        },
    ),
    "units are not normal when trained": (
        {"negentropy": lambda width, layer, done: 0.01 + done},
        {"fig2 normal after training", "figB1 normal after training"},
    ),
    "wide networks have less entropy and learn better": (
        {"entropy": lambda width, layer, done: 2 - 0.5 * (width > 20) - 0.2 * done},
        {"fig2 entropy and accuracy"},
    ),
    "units depend on one another from the start": (
        {"iota": lambda width, layer, done: 0.3 if layer == "output" else 0.1},
        {
            "fig3 near the line",
            "fig3 falls with width",
            "fig3 independent at first",
            "fig3 independent at first, by a permutation test",
            "fig3 independent",
            "figB1 near the line",
            "figB1 falls with width",
            "figB1 independent at first",
            "figB1 independent",
        },
    ),
    "the last layer is like the others": (
        {"iota": lambda width, layer, done: falling_iota(width, "hidden1", done)},
        {"fig3 last layer", "fig3 last layer stands out"},
    ),
    "information grows and entropy does not": (
        {"iota": lambda width, layer, done: 0.5 if layer == "output" else 0.012 + 0.4 * done * 20 / width},
        {"fig3 ΔI ≤ ΔH", "figB1 ΔI ≤ ΔH"},
    ),
    "groups depend on one another at every width": (
        {"total_correlation": constant(0.6)},
        {"fig3 total correlation", "fig3 total correlation falls", "figB1 total correlation"},
    ),
}


@pytest.mark.parametrize("name", REFUTED)
def test_every_claim_can_fail(name: str) -> None:
    changes, refuted = REFUTED[name]
    found = words(rows(confirming() | changes))
    assert {claim for claim, word in found.items() if word == "not reproduced"} >= refuted


def test_what_holds_over_epochs_alone_depends_on_the_reading() -> None:
    """Entropy grows with the accuracy of each network, and is lower in those that learn better."""
    entropy = {"entropy": lambda width, layer, done: 2 - 0.5 * (width > 20) + 0.2 * accuracy(width, layer, done)}
    assert words(rows(confirming() | entropy), FIG2)["fig2 entropy and accuracy"] == "depends"


def test_each_claim_is_among_those_that_fail() -> None:
    assert set().union(*(refuted for _, refuted in REFUTED.values())) == set(words(Table([])))


def test_a_short_run_reproduces_only_what_holds_at_the_papers_end() -> None:
    """ΔH of .07 after a twentieth of the epochs, twice what it was halfway there, comes to .22 by the end."""
    numbers = confirming() | {"shift": constant(0.0)}
    numbers["entropy"] = lambda width, layer, done: 2 + 0.07 * done
    short = rows(numbers, moments=(0, 4, 8, 16))
    assert words(rows(numbers), FIG2)["fig2 ΔH vanishes"] == "reproduced"
    verdict = FIG2.claims[0].verdict(short, whole=False)
    assert verdict.word == "not at this scale" and "5 % as far" in verdict.note
    assert verdict.number.effect == pytest.approx(0.07 + 0.035 * 4.23, rel=0.01)


def test_a_short_run_refutes_what_moves_away_but_not_what_still_comes_near() -> None:
    away, near = confirming(), confirming()
    away["entropy"] = away["shift"] = lambda width, layer, done: done
    near["iota"] = lambda width, layer, done: 0.3 if layer == "output" else 0.2 - 0.05 * done
    moments = 0, 4, 8, 16
    assert words(rows(away, moments=moments), FIG2, whole=False)["fig2 ΔH vanishes"] == "not reproduced"
    assert words(rows(near, moments=moments), FIG3, whole=False)["fig3 near the line"] == "not at this scale"


def test_networks_that_are_not_wide_refute_nothing_about_wide_ones() -> None:
    numbers = confirming()
    numbers["entropy"] = numbers["shift"] = lambda width, layer, done: done
    table = rows(numbers).where(width=lambda width: width < 500)
    verdict = FIG2.claims[0].verdict(table, whole=False)
    assert verdict.word == "not at this scale" and "200 units" in verdict.note


def test_the_part_that_is_furthest_from_passing_is_shown() -> None:
    numbers = confirming()
    numbers["iota"] = lambda width, layer, done: 0.3 if layer in ("output", "hidden3") else 0.1
    assert "hidden3" in FIG3.claims[0].verdict(rows(numbers)).note


def test_missing_rows_decide_nothing() -> None:
    assert set(words(Table([])).values()) == {"not at this scale"}
    table = rows(confirming()).where(site=lambda name: name != "hidden3")
    assert FIG3.claims[0].verdict(table).word == "not at this scale"


def test_figures_of_one_training_share_its_tasks() -> None:
    assert [task.id for task in FIG2.tasks("quick")] == [task.id for task in FIG3.tasks("quick")]
    assert not {task.id for task in FIG2.tasks("quick")} & {task.id for task in FIGB1.tasks("quick")}


def test_medium_is_the_papers_setting_but_for_epochs_and_repetitions() -> None:
    for experiment in (FIG2, FIGB1):
        medium, paper = experiment.grid["medium"], experiment.grid["paper"]
        assert all({**point, "epochs": 300} in paper for point in medium)
        assert {len(task.seeds) for task in experiment.tasks("medium")} == {3, 5}


@pytest.mark.parametrize("experiment", [FIG2, FIG3, FIGB1])
def test_figures_are_drawn(experiment: Experiment) -> None:
    table = rows(confirming())
    table = table.where(activation="relu") if experiment is FIGB1 else table
    assert all(figure(table).axes for figure in experiment.figures.values())
