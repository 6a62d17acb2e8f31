import math

import pytest

from cofire.papers.framework.claim_table import Table
from cofire.papers.simon2016.fig1_dropout import FIG1

LAWS = {"entering": 0.4, "dropped": 0.2, "paper_law": 0.196, "pearson_law": 0.2}
MOMENTS = {"second_moment_dropped": 0.3, "second_moment_law": 0.3}
LAYERS = ("hidden1", "hidden2", "hidden3")


def rows(vanilla: float, drop: float, *, epochs: int = 100, lost: str = "", **laws: float) -> Table:
    """Mean |ρ| of both networks in every layer, and the numbers behind the masks; one network may have diverged."""
    found: list[tuple[str, str, str, float]] = []
    for kind, nc in (("VANILLANET", vanilla), ("DROPNET", drop)):
        gone = kind == lost
        found += [(kind, layer, "nc", math.nan if gone else nc) for layer in LAYERS]
        found += [(kind, layer, "share", 0.02) for layer in LAYERS if not gone]
        found.append((kind, "", "diverged", float(gone)))
    found += [("DROPNET", "drop1", name, value) for name, value in {**LAWS, **MOMENTS, **laws}.items()]
    settings = {"size": "HUGE", "init": "torch", "momentum": 0.8, "epochs": epochs, "bin": 0}
    return Table(
        {
            "kind": kind,
            "site": site,
            "measure": measure,
            "seed": seed,
            **settings,
            "value": value if measure == "diverged" else value * (1 + seed / 1000),
        }
        for kind, site, measure, value in found
        for seed in range(3)
    )


def words(table: Table, *, whole: bool = True) -> dict[str, str]:
    return {claim.name: claim.verdict(table, whole=whole).word for claim in FIG1.claims}


def test_by_theory_and_as_the_paper_has_it() -> None:
    table = rows(0.3, 0.2)
    found = words(table)
    assert found.pop("p², correlation") == "reproduced"  # of units whose mean is far from 0, both laws may hold
    assert set(found.values()) == {"reproduced"}
    assert FIG1.figures["fig1"](table).axes[1].get_title() == "(b) HUGE-DROPNET"


def test_otherwise() -> None:
    for whole in (True, False):
        found = words(rows(0.2, 0.3, dropped=0.28, second_moment_dropped=0.5), whole=whole)
        assert found.pop("lower with dropout") == ("not reproduced" if whole else "not at this scale")
        assert found.pop("lower in layers 2 and 3") == ("not reproduced" if whole else "not at this scale")
        assert set(found.values()) == {"not reproduced"}  # identities, whatever the network has learned
    assert set(words(Table([])).values()) == {"not at this scale"}


def test_a_fall_by_a_tenth_is_not_considerable() -> None:
    found = words(rows(0.3, 0.27))
    assert found["lower with dropout"] == "not reproduced" and found["lower in layers 2 and 3"] == "reproduced"


def test_fewer_epochs_than_the_papers_refute_nothing() -> None:
    claim = FIG1.claims[0]
    found = claim.verdict(rows(0.2, 0.3, epochs=8))
    assert found.word == "not at this scale" and found.note.endswith("8 of 100 epochs")
    assert claim.verdict(rows(0.3, 0.2, epochs=8)).word == "reproduced"


@pytest.mark.parametrize(("lost", "word"), [("DROPNET", "not reproduced"), ("VANILLANET", "inconclusive")])
def test_divergence_is_no_number(lost: str, word: str) -> None:
    found = FIG1.claims[0].verdict(rows(0.3, 0.2, lost=lost))
    assert found.word == word and math.isnan(found.number.effect)
    assert found.note == f"{lost} diverged: HUGE in 3 of 3"
