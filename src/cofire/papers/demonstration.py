"""The demonstration: a small network, tracked while it learns scikit-learn's digits."""

from collections.abc import Callable
from pathlib import Path

from ..record import correlation, dependence, epsilon, weight_correlation
from .training.datasets import digits
from .training.loop import Scores, Settings, train
from .training.models import mlp

WIDTHS = (64, 256, 128, 64, 10)
HIDDEN = ["hidden1", "hidden2", "hidden3"]
DEPENDENCE_AT = (0, 1 / 30, 1 / 10, 1 / 4, 1 / 2, 3 / 4, 1)  # shares of the training; it costs more than correlation


def run_demo(
    run: str | Path,
    *,
    epochs: int = 30,
    seed: int = 0,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Scores:
    """Train a ReLU network of three hidden layers on the digits and record how its units co-vary on the test images.

    Args:
        run: run directory; an interrupted demonstration resumes from it.
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
    return train(
        mlp(WIDTHS, seed=seed),
        data,
        settings,
        run=run,
        measures=[correlation(), epsilon(), weight_correlation(), shared],
        probe=data.test_x,
        progress=progress,
    )
