"""Figure 4: validation error after two epochs.

The networks are those of simon2016.fig2. Errors are averaged over the five sizes, repetition by repetition.
"""

from dataclasses import replace
from functools import partial

from ..framework.claim_table import Table
from ..framework.estimates import combined, differences, shared
from ..framework.experiment import claims_of, notes_of, texts_of
from ..framework.plots import Figure
from ..framework.verdicts import Part, part
from .fig2_penalty_weight import FIG2, diverged, read
from .fig3_network_size import error, sizes_of
from .simon_networks import NORMED, READINGS, Reading, Values, draw_sizes

EARLY = 2


def early(table: Table, reading: Reading, kind: str) -> Values:
    """Return the validation error after two epochs in percent, averaged over sizes."""
    values = shared(*(error(table, reading, size, kind, epoch=EARLY) for size in sizes_of(table)))
    return combined(lambda *each: sum(each) / len(each), *values)


def lower(table: Table, kind: int, than: int | str, reading: Reading) -> Part:
    """Return by how much the early error of one kind is below another's; kinds as for `fig3_network_size.slower`."""
    own, other = reading.kinds[kind], than if isinstance(than, str) else reading.kinds[than]
    plain = READINGS["as printed"] if isinstance(than, str) else reading
    note = f"error after 2 epochs, {other} less {own}, mean of sizes, points"
    sizes = sizes_of(table)
    if told := diverged(table, reading, own, sizes, epoch=EARLY):
        return Part(note=note, diverged=told)
    if told := diverged(table, plain, other, sizes, epoch=EARLY):
        return Part(note=note, diverged=told, reference_diverged=True)
    return part(differences(*shared(early(table, plain, other), early(table, reading, own))), note)


def figure(table: Table) -> Figure:
    """Draw the paper's three curves, Batch Normalization's, and those of the other readings."""
    early_error = partial(error, table, epoch=EARLY)
    return draw_sizes(table, early_error, "validation error after 2 epochs, %", yscale="log")


CHECKS = {
    "faster with the penalty": read(lower, 1, 0),
    "faster with more of it": read(lower, 2, 1),
    "faster than Batch Normalization": read(lower, 1, NORMED),
}

FIG4 = replace(
    FIG2,
    name="simon2016.fig4",
    title="Validation error after two epochs",
    figures={"fig4": figure},
    claims=claims_of(__package__, "fig4", CHECKS),
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig4"),
)
