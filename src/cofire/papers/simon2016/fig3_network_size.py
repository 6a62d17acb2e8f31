"""Figure 3: growth of the validation error as the network gets smaller.

The networks are those of simon2016.fig2, after the last epoch. A network that diverged answers one class for all, and
counts with that error. Differences of some tenths of a point are what is at stake, so seeds are paired and an
interval that holds 0 decides nothing. CORRNET-1.0 by the text is not drawn: its HUGE network diverges.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ..framework.claim_table import Table
from ..framework.experiment import Claim, claims_of, notes_of
from ..framework.plots import Figure
from ..framework.verdicts import Verdict, all_of, combined, decide, differences
from .fig2_penalty_weight import BY_CODE, CODED, FIG2, KINDS, OTHER
from .simon_networks import draw_sizes

VANILLA, MILD, STRONG = KINDS
Values = dict[int, float]


def error(table: Table, size: str, kind: str, *, epoch: int | None = None) -> Values:
    """Return the validation error in percent after an epoch, by default the last."""
    part = table.need(size=size, kind=kind, init="torch", measure="test_accuracy")
    part = part.last() if epoch is None else part.need(epoch=epoch)
    return {seed: 100 * (1 - value) for seed, value in part.per_seed().items()}


def growth(table: Table, size: str, kind: str) -> Values:
    """Return the validation error minus that of the HUGE network of the same kind, in percentage points."""
    return differences(error(table, size, kind), error(table, "HUGE", kind))


def mean_growth(table: Table, kind: str) -> Values:
    """Return the growth of the error averaged over the smaller sizes."""
    sizes = [size for size in table.need(kind=kind).values("size") if size != "HUGE"]
    return combined(lambda *values: sum(values) / len(values), *(growth(table, size, kind) for size in sizes))


def figure(table: Table) -> Figure:
    """Draw the paper's curves, and Batch Normalization's."""
    kinds = (VANILLA, MILD, OTHER, *CODED[1:])
    return draw_sizes(table, kinds, partial(growth, table), "validation error less HUGE's, points")


def slower(table: Table, kind: str, than: str) -> Verdict:
    """Judge whether the error grows less for one kind than for another."""
    values = (mean_growth(table, name) for name in (than, kind))
    return decide(differences(*values), above=0, note=f"mean growth of the error, {than} less {kind}, points")


def _claims(mild: str, strong: str, more: str) -> Iterator[Claim]:
    """Yield the claims about CORRNET with one reading of its penalty."""
    yield Claim(
        f"slower{more}", f"It grows more slowly for CORRNET-0.1 than for VANILLANET{more}", "Fig. 3, §3.2",
        lambda table: slower(table, mild, VANILLA),
    )  # fmt: skip
    yield Claim(
        f"reverses{more}", f"With much larger weights the trend reverses: it grows faster for CORRNET-1.0{more}",
        "§3.2", lambda table: slower(table, VANILLA, strong),
    )  # fmt: skip
    yield Claim(
        f"slower than with Batch Normalization{more}",
        f"It grows more slowly for CORRNET-0.1 than with Batch Normalization{more}",
        "ours: the comparison that the paper leaves out", lambda table: all_of({"mean": slower(table, mild, OTHER)}),
    )  # fmt: skip


CLAIMS = (
    *claims_of(
        __package__,
        "fig3",
        {
            "grows": lambda table: decide(
                growth(table, "TINY", VANILLA), above=0, note="error of TINY less HUGE, VANILLANET, points"
            )
        },
    ),
    *_claims(MILD, STRONG, ""),
    *_claims(*CODED[1:], BY_CODE),
)

FIG3 = replace(
    FIG2,
    name="simon2016.fig3",
    title="Validation error against size, relative to the HUGE network of the same kind",
    figures={"fig3": figure},
    claims=CLAIMS,
    task_name=FIG2.name,
    notes=notes_of(__doc__),
)
