"""LSTM models of characters: correlation of the hidden units on held-out text through training.

Samples are the characters of windows spread over the held-out text; characters that follow one another are not
independent. 32 streams, gradients through 10 characters, the state carried on; Adam at 0.001, SGD at 0.1. The
initialization is open: torch's default, and that of Keras for networks without dropout. Medium reads the whole text 4
times with Adam and 10 times with SGD, which is slower; networks of 500 units, whose step costs fifty times as much,
read it once. Quick reads 900,000 characters twice, without those.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ...record import GeometricSteps, Row, correlation
from ..framework.experiment import Experiment, notes_of, row, texts_of
from ..framework.tasks import Settings, Task
from ..training.language import Reading, learn_text, text_loss, windows_of
from ..training.texts import load_text
from .correlation_course import RATES, course_claims, figure
from .peganov_networks import CharacterLSTM

SIZES = {"100": [100], "100-100": [100, 100], "500": [500], "500-500": [500, 500]}
SMALL, LARGE = ("100", "100-100"), ("500", "500-500")
LABELS = {"adam": "Adam", "sgd": "SGD"}
INITIALIZATIONS = {"torch's default": {"init": "torch"}, "that of Keras": {"init": "keras"}}
BOTH = ("torch", "keras")


def conditions_of(sizes: Sequence[str], **others: float) -> dict[str, Settings]:
    """Return the settings of networks of these sizes with each optimizer, by name."""
    told = "".join(f", {name} {value:g}" for name, value in others.items() if value)
    return {
        f"{size}, {label}{told}": {"size": size, "optimizer": optimizer, **others}
        for size in sizes
        for optimizer, label in LABELS.items()
    }


UNDROPPED = conditions_of(SMALL, dropout=0.0)
DROPPED = conditions_of(["100"], dropout=0.5)
DRAWN = {**UNDROPPED, **DROPPED, **conditions_of(LARGE, dropout=0.0)}
FIGURES = {
    name: partial(figure, conditions={told: {**wanted, "init": init} for told, wanted in DRAWN.items()})
    for name, init in (("rnn", "torch"), ("keras", "keras"))
}
"""The paper's figure, and the same from the other initialization."""


def run(task: Task) -> Iterator[Row]:
    """Record correlation at geometrically spaced steps, and the loss in nats per character before and after."""
    text = load_text(task["text"]).first(task["n_train"], 20_000)
    reading = Reading(epochs=task["epochs"], optimizer=task["optimizer"], learning_rate=RATES[task["optimizer"]])
    probe = windows_of(text.test, n_windows=task["windows"], length=task["length"])
    for seed in task.seeds:
        model = CharacterLSTM(
            len(text.vocabulary), task["hidden"], dropout=task["dropout"], seed=seed, init=task["init"]
        )
        yield row("test_loss", text_loss(model, text.test), seed=seed)
        watch = {"measures": [correlation(sites="lstm*")], "probe": probe, "every": GeometricSteps(task["factor"])}
        yield from learn_text(model, text, reading, seed=seed, **watch)
        yield row("test_loss", text_loss(model, text.test), seed=seed, epoch=task["epochs"])


def _points(
    conditions: Mapping[str, Settings], inits: Sequence[str] = ("torch",), *, width: int | None = None, **others: object
) -> tuple[Settings, ...]:
    """Return conditions of the claims from each initialization; ``width`` replaces each layer's own."""
    return tuple(
        {**wanted, **others, "init": init, "hidden": [width or units for units in SIZES[str(wanted["size"])]]}
        for wanted in conditions.values()
        for init in inits
    )


def n_repetitions(point: Settings) -> int:
    """Return 10 repetitions for networks of 100 units, 5 from the other initialization, 3 for 500 units."""
    return 3 if point["size"] not in SMALL else 5 if point["init"] == "keras" else 10


_TEXT = {"text": "tinyshakespeare", "windows": 40, "length": 50}
_ALL = {**_TEXT, "n_train": 1_003_855, "factor": 1.1}
_WHOLE = {**_TEXT, "n_train": 1_003_855, "epochs": 20, "factor": 1.05}
_EPOCHS = {"adam": 4, "sgd": 10}

RNN = Experiment(
    name="peganov2021.rnn",
    title="Correlation of the hidden units of an LSTM model of characters through training",
    grid={
        "smoke": (
            *_points(UNDROPPED, BOTH, width=8, text="zen", n_train=600, windows=4, length=30, epochs=2, factor=1.5),
            *_points(DROPPED, width=8, text="zen", n_train=600, windows=4, length=30, epochs=2, factor=1.5),
        ),
        "quick": _points({**UNDROPPED, **DROPPED}, **_TEXT, n_train=900_000, epochs=2, factor=1.1),
        "medium": (
            *(
                point
                for optimizer, epochs in _EPOCHS.items()
                for point in (
                    *_points(UNDROPPED, BOTH, **_ALL, epochs=epochs),
                    *_points(DROPPED, **_ALL, epochs=epochs),
                )
                if point["optimizer"] == optimizer
            ),
            *_points(conditions_of(LARGE, dropout=0.0), **_ALL, epochs=1),
        ),
        "paper": (
            *_points(UNDROPPED, BOTH, **_WHOLE),
            *_points(DROPPED, **_WHOLE),
            *(
                point
                for dropout in (0.0, 0.3, 0.7)
                for point in _points(conditions_of(LARGE, dropout=dropout), **_WHOLE)
            ),
        ),
    },
    seeds={"smoke": 2, "quick": 3, "medium": n_repetitions, "paper": 10},
    run=run,
    version=2,
    figures=FIGURES,
    claims=(
        *course_claims(__package__, "course", UNDROPPED, INITIALIZATIONS),
        *course_claims(__package__, "course", {**DROPPED, **conditions_of(LARGE)}, {"torch's": {"init": "torch"}}),
    ),
    minutes={"smoke": 0.4, "quick": 2.5, "medium": 120, "paper": 24_000},
    notes=notes_of(__doc__),
    **texts_of(__package__, "rnn"),
    together=False,
)
