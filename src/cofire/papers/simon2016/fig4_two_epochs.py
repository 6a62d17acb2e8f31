"""Figure 4: validation error after two epochs.

The networks are those of simon2016.fig2. Errors are averaged over the five sizes, seed by seed; a network that
diverged counts with the error of answering one class for all.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ..framework.claim_table import Table
from ..framework.experiment import Claim, notes_of
from ..framework.plots import Figure
from ..framework.verdicts import Verdict, combined, decide, differences
from .fig2_penalty_weight import BY_CODE, CODED, FIG2, KINDS, OTHER
from .fig3_network_size import MILD, STRONG, VANILLA, Values, error
from .simon_networks import draw_sizes

EARLY = 2


def early(table: Table, kind: str) -> Values:
    """Return the validation error after two epochs in percent, averaged over sizes."""
    sizes = table.need(kind=kind, init="torch").values("size")
    values = (error(table, size, kind, epoch=EARLY) for size in sizes)
    return combined(lambda *each: sum(each) / len(each), *values)


def lower(table: Table, kind: str, than: str) -> Verdict:
    """Judge whether the early error of one kind is below another's."""
    values = (early(table, name) for name in (than, kind))
    note = f"error after 2 epochs, {than} less {kind}, mean of sizes, points"
    return decide(differences(*values), above=0, note=note)


def figure(table: Table) -> Figure:
    """Draw the paper's three curves, Batch Normalization's, and those with the penalty of the author's code."""
    kinds, early_error = (*KINDS, OTHER, *CODED[1:]), partial(error, table, epoch=EARLY)
    return draw_sizes(table, kinds, early_error, "validation error after 2 epochs, %", yscale="log")


def _claims(mild: str, strong: str, more: str) -> Iterator[Claim]:
    """Yield the claims about CORRNET with one reading of its penalty."""
    yield Claim(
        f"faster with the penalty{more}",
        f"CORRNET-0.1 has a lower validation error than VANILLANET after 2 epochs{more}",
        "Fig. 4, §3.3", partial(lower, kind=mild, than=VANILLA),
    )  # fmt: skip
    yield Claim(
        f"faster with more of it{more}",
        f"CORRNET-1.0 has a lower validation error than CORRNET-0.1 after 2 epochs{more}",
        "Fig. 4, §3.3", partial(lower, kind=strong, than=mild),
    )  # fmt: skip
    yield Claim(
        f"faster than Batch Normalization{more}",
        f"CORRNET-0.1 has a lower validation error than Batch Normalization then{more}",
        "ours: the comparison that the paper leaves out", partial(lower, kind=mild, than=OTHER),
    )  # fmt: skip


CLAIMS = (*_claims(MILD, STRONG, ""), *_claims(*CODED[1:], BY_CODE))

FIG4 = replace(
    FIG2,
    name="simon2016.fig4",
    title="Validation error after two epochs",
    figures={"fig4": figure},
    claims=CLAIMS,
    task_name=FIG2.name,
    notes=notes_of(__doc__),
)
