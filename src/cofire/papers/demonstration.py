"""The demonstration: a small network, tracked while it learns scikit-learn's digits."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..record import Run, correlation, dependence, epsilon, weight_correlation
from ..record.runs.run_directory import DESCRIPTION
from .training.datasets import digits
from .training.loop import Scores, Settings, configuration, train
from .training.models import mlp

WIDTHS = (64, 256, 128, 64, 10)
HIDDEN = ["hidden1", "hidden2", "hidden3"]
DEPENDENCE_AT = (0, 1 / 30, 1 / 10, 1 / 4, 1 / 2, 3 / 4, 1)  # shares of the training; it costs more than correlation

OPTIONS = {"epochs", "seed"}


def run_demo(
    run: str | Path,
    *,
    epochs: int = 30,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Scores:
    """Train a ReLU network of three hidden layers on the digits and record how its units co-vary on the test images.

    Args:
        run: run directory; an interrupted demonstration resumes from it, and one with other options replaces it.
        epochs: passes over the 1,437 training images.
        seed: random seed for split, weights and batch order.
        progress: called with the number of steps done and the total.

    Returns:
        Loss and accuracy after training.
    """
    data = digits(seed=seed)
    settings = Settings(epochs=epochs, seed=seed)
    steps = epochs * settings.steps_per_epoch(len(data.train_x))
    shared = dependence(sites=HIDDEN, every=[round(steps * share) for share in DEPENDENCE_AT])
    model = mlp(WIDTHS, seed=seed)
    return train(
        model,
        data,
        settings,
        run=run,
        overwrite=_has_other_options(Path(run), configuration(model, data, settings)),
        measures=[correlation(), epsilon(), weight_correlation(), shared],
        probe=data.test_x,
        progress=progress,
    )


def _has_other_options(run: Path, config: Mapping[str, Any]) -> bool:
    """Return whether a directory holds a demonstration, but one with other options; never true of a user's own run."""
    if not (run / DESCRIPTION).is_file():
        return False
    with Run.open(run) as earlier:
        kept = earlier.config
    changed = {name for name in {*kept, *config} if kept.get(name) != config.get(name)}
    return bool(changed) and changed <= OPTIONS
