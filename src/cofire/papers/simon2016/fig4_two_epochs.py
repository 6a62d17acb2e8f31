"""Figure 4: validation error after two epochs."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..framework.claim_table import Table
from ..framework.experiment import Claim
from ..framework.plots import COLORS, draw, legend, panels
from ..framework.verdicts import Verdict, combined, decide, differences
from .fig2_penalty_weight import BY_CODE, CODED, FIG2, KINDS, OTHER
from .fig3_network_size import MILD, STRONG, VANILLA, Values, error
from .simon_networks import SIZES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EARLY = 2


def early(table: Table, kind: str) -> Values:
    """Mean over sizes of the validation error after two epochs, in per cent."""
    sizes = table.need(kind=kind, init="torch").values("size")
    values = (error(table, size, kind, epoch=EARLY) for size in sizes)
    return combined(lambda *each: sum(each) / len(each), *values)


def lower(table: Table, kind: str, than: str) -> Verdict:
    """The early error of one kind less another's."""
    values = (early(table, name) for name in (than, kind))
    return decide(
        differences(*values), above=0, note=f"error after 2 epochs, {than} less {kind}, mean of sizes, points"
    )


def figure(table: Table) -> "Figure":
    """The paper's three curves, Batch Normalization's, and those with the penalty of the author's code."""
    drawn, axes = panels(1, 1, width=4.5, height=3)
    axis = axes[0][0]
    sizes = [size for size in SIZES if table.where(size=size)]
    for color, kind in zip(COLORS, (*KINDS, OTHER, *CODED[1:]), strict=False):
        draw(axis, {size: error(table, size, kind, epoch=EARLY) for size in sizes}, kind, color=color, marker="o")
    axis.set(ylabel="validation error after 2 epochs, %", yscale="log")
    legend(drawn)
    return drawn


def _claims(mild: str, strong: str, more: str) -> Iterator[Claim]:
    """What is said of CORRNET, by one reading of its penalty."""
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
    notes=(
        "The networks are those of simon2016.fig2. Errors are averaged over the five sizes, seed by seed; a network "
        "that diverged counts with the error of answering one class for all."
    ),
)
