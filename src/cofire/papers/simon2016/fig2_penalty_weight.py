"""Figure 2: the spread of each layer's correlations as the penalty on correlation grows.

Correlations are those behind the leaky ReLU, on the 10,000 images held out. The penalty is the paper's, with the
weight that its text states; the author's code divides it by the batch size and so is 50 times weaker. Networks with
that penalty are those marked (code); all else is as for the others, momentum too, which the code loses at every step.
Torch's default initialization makes small weights and so small activations, and the penalty's gradient has 1/σ in it,
which can throw a network out within a few steps; such networks are counted, and left out of the panels. He
initialization is the remedy. Quick trains 8 epochs instead of 100.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import nan

from ...record import Row
from ..framework.claim_table import Table
from ..framework.experiment import Claim, Experiment, notes_of, row
from ..framework.plots import Figure, panels
from ..framework.tasks import Settings, Task, grid
from ..framework.verdicts import Verdict, decide, decide_each, differences
from ..training.stacked_training import Watch
from .simon_networks import AS_CODED, SIZES, data_of, draw_spread, finite, networks_of, spread, trained

HIDDEN = ("hidden1", "hidden2", "hidden3")
KINDS = ("VANILLANET", "CORRNET-0.1", "CORRNET-1.0")
CODED = (KINDS[0], KINDS[1] + AS_CODED, KINDS[2] + AS_CODED)
OTHER = "BATCHNORM"
BY_CODE = ", penalty as in the author's code"


def run(task: Task) -> Iterator[Row]:
    """Record every epoch's scores, then the spread of every layer's correlations, or NaN if training diverged."""
    data = data_of(task)
    networks = networks_of(task, data)
    yield from trained(task, data, networks, Watch())
    for seed, network, whole in zip(task.seeds, networks, finite(networks), strict=True):
        yield row("diverged", float(not whole), seed=seed)
        if whole:
            yield from spread(network, data, HIDDEN, seed=seed)
        else:
            yield from (row("nc", nan, seed=seed, site=layer) for layer in HIDDEN)


def figure(table: Table) -> Figure:
    """Draw the paper's nine panels of HUGE networks, and six by the author's code; diverged networks have no bars."""
    kinds = (*KINDS, *CODED[1:])
    drawn, axes = panels(len(kinds), len(HIDDEN), width=2.6, height=1.9, sharex=True)
    for line, kind in enumerate(kinds):
        for column, layer in enumerate(HIDDEN):
            axis, part = axes[line][column], table.where(kind=kind, size="HUGE", init="torch", site=layer)
            letter = f"({'abcdefghi'[3 * line + column]}) " if kind in KINDS else ""
            axis.set(title=f"{letter}{kind}, layer {column + 1}")
            axis.title.set_fontsize(8)
            if part.where(measure="share"):
                draw_spread(axis, part)
            else:
                axis.text(0.5, 0.5, "diverged", transform=axis.transAxes, ha="center")
    return drawn


def falls(table: Table, kinds: tuple[str, ...], init: str) -> Verdict:
    """Judge whether the mean |ρ| falls from each kind to the next, in every layer of HUGE networks."""
    huge = table.need(size="HUGE", init=init, measure="nc")
    parts = {
        f"{less} to {more}, {layer}": differences(*(huge.per_seed(kind=kind, site=layer) for kind in (less, more)))
        for less, more in pairwise(kinds)
        for layer in HIDDEN
    }
    return decide_each(parts, above=0, note="fall of the mean |ρ|")


def trains(table: Table, kinds: tuple[str, ...], init: str) -> Verdict:
    """Judge whether most HUGE-CORRNET-1.0 keep finite weights."""
    found = table.per_seed(size="HUGE", init=init, kind=kinds[-1], measure="diverged")
    return decide({seed: 1 - value for seed, value in found.items()}, above=0.5, note="share that does not diverge")


READINGS = {"": (KINDS, "torch"), ", He initialization": (KINDS, "normal"), BY_CODE: (CODED, "torch")}

CLAIMS = (
    *(
        Claim(
            f"falls with the weight{more}",
            f"The more weight on the penalty, the less correlated are the units of each layer{more}",
            "Fig. 2" if init == "torch" else "ours: the same, from weights that CORRNET-1.0 can be trained from",
            lambda table, kinds=kinds, init=init: falls(table, kinds, init),
        )
        for more, (kinds, init) in READINGS.items()
    ),
    *(
        Claim(
            f"CORRNET-1.0 trains{more}",
            f"HUGE-CORRNET-1.0 can be trained{more}",
            "Fig. 2 (g–i) shows it" if init == "torch" else "ours: the remedy",
            lambda table, kinds=kinds, init=init: trains(table, kinds, init),
        )
        for more, (kinds, init) in READINGS.items()
    ),
)


def _grid(sizes: tuple[str, ...], **settings: object) -> tuple[Settings, ...]:
    """Return every size with every kind, and HUGE networks from the other initialization too."""
    return (
        *grid(size=sizes, kind=(*KINDS, OTHER, *CODED[1:]), init="torch", **settings),
        *grid(size="HUGE", kind=KINDS, init="normal", **settings),
    )


ALL = tuple(reversed(SIZES))

FIG2 = Experiment(
    name="simon2016.fig2",
    title="How the correlations of each layer are spread as the penalty's weight grows",
    grid={
        "smoke": _grid(("HUGE", "TINY"), data="digits", n_train=400, epochs=3),
        "quick": _grid(ALL, data="mnist", n_train=50_000, epochs=8),
        "paper": _grid(ALL, data="mnist", n_train=50_000, epochs=100),
    },
    seeds={"smoke": 2, "quick": 5, "paper": 5},
    run=run,
    figures={"fig2": figure},
    claims=CLAIMS,
    minutes={"smoke": 0.4, "quick": 16, "paper": 300},
    notes=notes_of(__doc__),
)
