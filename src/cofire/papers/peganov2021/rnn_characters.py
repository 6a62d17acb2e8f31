"""LSTM models of characters: correlation of the hidden units on held-out text through training.

Samples are the characters of windows spread over the held-out text; characters that follow one another are not
independent. 32 streams, gradients through 10 characters, the state carried on; Adam at 0.001, SGD at 0.1. Quick reads
900,000 characters twice, 5600 steps, without the networks of 500 units, whose step costs fifty times as much. Seeds:
3 instead of 10.
"""

from collections.abc import Iterator
from functools import partial

from ...record import GeometricSteps, Row, Tracker, correlation
from ..framework.experiment import Experiment, notes_of, row
from ..framework.tasks import Settings, Task, grid
from ..training.language import Reading, learn_text, text_loss, windows_of
from ..training.texts import load_text
from .correlation_course import RATES, claims, figure
from .peganov_networks import CharacterLSTM

SIZES = {"100": [100], "100-100": [100, 100], "500": [500], "500-500": [500, 500]}
CONDITIONS = {
    f"{size}, {label}{told}": {"size": size, "optimizer": optimizer, "dropout": dropout}
    for size, dropout, told in (("100", 0.0, ""), ("100-100", 0.0, ""), ("100", 0.5, ", dropout 0.5"))
    for optimizer, label in {"adam": "Adam", "sgd": "SGD"}.items()
}


def run(task: Task) -> Iterator[Row]:
    """Record correlation at geometrically spaced steps, and the loss in nats per character before and after."""
    text = load_text(task["text"]).first(task["n_train"], 20_000)
    reading = Reading(epochs=task["epochs"], optimizer=task["optimizer"], learning_rate=RATES[task["optimizer"]])
    probe = windows_of(text.test, n_windows=task["windows"], length=task["length"])
    for seed in task.seeds:
        model = CharacterLSTM(len(text.vocabulary), task["hidden"], dropout=task["dropout"], seed=seed)
        rows: list[Row] = []
        yield row("test_loss", text_loss(model, text.test), seed=seed)
        watch = {"probe": probe, "every": GeometricSteps(task["factor"]), "sink": rows.extend, "seed": seed}
        with Tracker(model, [correlation(sites="lstm*")], **watch) as tracker:
            learn_text(model, text, reading, each_step=tracker.step)
        yield from rows
        yield row("test_loss", text_loss(model, text.test), seed=seed, epoch=task["epochs"])


def _points(*, width: int | None = None, **others: object) -> tuple[Settings, ...]:
    """Return the conditions of the claims; ``width`` replaces each layer's own."""
    return tuple(
        {**wanted, **others, "hidden": [width or units for units in SIZES[str(wanted["size"])]]}
        for wanted in CONDITIONS.values()
    )


_TEXT = {"text": "tinyshakespeare", "windows": 40, "length": 50}
_WHOLE = {**_TEXT, "n_train": 1_003_855, "epochs": 20, "factor": 1.05}

RNN = Experiment(
    name="peganov2021.rnn",
    title="Correlation of the hidden units of an LSTM model of characters through training",
    grid={
        "smoke": _points(width=8, text="zen", n_train=600, windows=4, length=30, epochs=2, factor=1.5),
        "quick": _points(**_TEXT, n_train=900_000, epochs=2, factor=1.1),
        "paper": (
            *_points(**_WHOLE),
            *(
                {**point, "hidden": SIZES[str(point["size"])], **_WHOLE}
                for point in grid(size=["500", "500-500"], optimizer=["adam", "sgd"], dropout=[0.0, 0.3, 0.7])
            ),
        ),
    },
    seeds={"smoke": 2, "quick": 3, "paper": 10},
    run=run,
    figures={"rnn": partial(figure, conditions=CONDITIONS)},
    claims=claims(CONDITIONS),
    minutes={"smoke": 0.3, "quick": 2.5, "paper": 20_000},
    notes=notes_of(__doc__),
    together=False,
)
