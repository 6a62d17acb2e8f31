from cofire.papers.framework.claim_table import Table
from cofire.papers.simon2016.fig1_dropout import FIG1

LAWS = {"entering": 0.4, "dropped": 0.2, "paper_law": 0.196, "pearson_law": 0.2}
MOMENTS = {"second_moment_dropped": 0.3, "second_moment_law": 0.3}


def rows(vanilla: float, drop: float, **laws: float) -> Table:
    found = [(kind, "nc", value) for kind, value in (("VANILLANET", vanilla), ("DROPNET", drop))]
    found += [("DROPNET", name, value) for name, value in {**LAWS, **MOMENTS, **laws}.items()]
    found += [(kind, "share", 0.02) for kind in ("VANILLANET", "DROPNET")]
    return Table(
        {"kind": kind, "measure": measure, "value": value * (1 + seed / 1000), "seed": seed, "bin": 0}
        for kind, measure, value in found
        for seed in range(3)
    )


def verdicts(table: Table) -> list[str]:
    return [claim.verdict(table).outcome for claim in FIG1.claims]


def test_as_the_paper_has_it() -> None:
    assert verdicts(rows(0.3, 0.2)) == ["reproduced"] * 4
    assert FIG1.figures["fig1"](rows(0.3, 0.2)).axes[1].get_title() == "(b) HUGE-DROPNET"


def test_otherwise() -> None:
    table = rows(0.2, 0.3, dropped=0.28, second_moment_dropped=0.5)
    assert verdicts(table) == ["not reproduced"] * 4
    assert verdicts(Table([])) == ["inconclusive"] * 4
