"""Figure 3: growth of the validation error as the network gets smaller.

The networks are those of simon2016.fig2, after the last epoch. Differences of some tenths of a point are what is at
stake, so repetitions are paired. A kind of which a network diverged has no growth.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from ..framework.claim_table import Table
from ..framework.estimates import combined, differences, shared
from ..framework.experiment import Check, Readings, claims_of, notes_of, texts_of
from ..framework.plots import Figure
from ..framework.verdicts import Part, part
from .fig2_penalty_weight import FIG2, diverged, lost, read, reduced
from .simon_networks import NORMED, READINGS, SIZES, VANILLA, Reading, Values, draw_sizes


def error(table: Table, reading: Reading, size: str, kind: str, *, epoch: int | None = None) -> Values:
    """Return the validation error in percent after an epoch, by default the last; NaN for a diverged network."""
    rows = reading.rows(table, kind, size)
    gone = lost(rows, epoch=epoch)
    rows = rows.need(measure="test_accuracy")
    rows = rows.last() if epoch is None else rows.need(epoch=epoch)
    return {seed: float("nan") if gone[seed] else 100 * (1 - value) for seed, value in rows.per_seed().items()}


def growth(table: Table, reading: Reading, size: str, kind: str, *, by: int | None = None) -> Values:
    """Return the validation error minus that of the HUGE network of the same kind, in percentage points."""
    return differences(*shared(*(error(table, reading, one, kind, epoch=by) for one in (size, "HUGE"))))


def sizes_of(table: Table) -> tuple[str, ...]:
    """Return the sizes that were trained, the smallest first."""
    return tuple(size for size in SIZES if table.where(size=size))


def mean_growth(table: Table, reading: Reading, kind: str, *, by: int | None = None) -> Values:
    """Return the growth of the error averaged over the smaller sizes."""
    smaller = [size for size in sizes_of(table) if size != "HUGE"]
    grown = shared(*(growth(table, reading, size, kind, by=by) for size in smaller))
    return combined(lambda *values: sum(values) / len(values), *grown)


def figure(table: Table) -> Figure:
    """Draw the paper's curves, Batch Normalization's, and those of the other readings."""
    return draw_sizes(table, partial(growth, table), "validation error less HUGE's, points")


def grows(table: Table) -> Part:
    """Return by how much the error of TINY exceeds that of HUGE."""
    printed = READINGS["as printed"]
    note = "error of TINY less HUGE, VANILLANET, points"
    if told := diverged(table, printed, VANILLA, ("TINY", "HUGE")):
        return Part(note=note, diverged=told)
    return part(growth(table, printed, "TINY", VANILLA), note, reduced=reduced(printed.rows(table, VANILLA, "TINY")))


def slower(table: Table, kind: int, than: int | str, reading: Reading) -> Part:
    """Return by how much less the error grows for one kind than for another.

    Args:
        table: the rows.
        kind: index of the kind in the reading.
        than: likewise, or the name of another kind.
        reading: see `Reading`.
    """
    own, other = reading.kinds[kind], than if isinstance(than, str) else reading.kinds[than]
    plain = READINGS["as printed"] if isinstance(than, str) else reading
    note = f"mean growth of the error, {other} less {own}, points"
    sizes = sizes_of(table)
    if told := diverged(table, reading, own, sizes):
        return Part(note=note, diverged=told)
    if told := diverged(table, plain, other, sizes):
        return Part(note=note, diverged=told, reference_diverged=True)
    rows = reading.rows(table, own, "HUGE")
    alike = max(rows.column("epochs"))  # variants train for fewer epochs than what they are compared with
    values = shared(mean_growth(table, plain, other, by=alike), mean_growth(table, reading, own, by=alike))
    return part(differences(*values), note, reduced=reduced(rows))


def reverses(table: Table, reading: Reading) -> Part:
    """Return by how much more the error grows for CORRNET-1.0 than for VANILLANET."""
    found = slower(table, 2, 0, reading)
    if found.diverged:
        return found
    strong, vanilla = (mean_growth(table, reading, reading.kinds[index]) for index in (2, 0))
    return replace(
        found,
        number=part(differences(*shared(strong, vanilla))).number,
        note="mean growth of the error, CORRNET-1.0 less VANILLANET, points",
    )


CHECKS: Mapping[str, Check | Readings] = {
    "grows": grows,
    "slower": read(slower, 1, 0),
    "reverses": read(reverses),
    "slower than with Batch Normalization": read(slower, 1, NORMED),
}

FIG3 = replace(
    FIG2,
    name="simon2016.fig3",
    title="Validation error against size, relative to the HUGE network of the same kind",
    figures={"fig3": figure},
    claims=claims_of(__package__, "fig3", CHECKS),
    notes=notes_of(__doc__),
    **texts_of(__package__, "fig3"),
)
