"""The generalization score's calibration: how well each number ranks trained networks by their gap.

``python -m cofire.papers.generalization --data-root DIR --into docs/guide/generalization.md`` writes the guide's
tables.
"""

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..nets.batches import BATCH
from ..nets.generalization import GeneralizationScore, generalization_score
from .data import Dataset, mnist
from .markdown import markdown_table, put_into
from .ranking import Ranking, kendall, within_settings
from .tasks import grid
from .training import Settings, fit, scores
from .zoo import mlp

SETTINGS = grid(
    n_train=[300, 1500], width=[20, 60, 180], depth=[2, 4], weight_decay=[0.0, 3e-3], batch_size=[25, 100], seed=[0, 1]
)
FITTED = 0.01  # training loss at which training stops, so that networks are compared at the same fit
EPOCHS = 60
NUMBERS = {
    "neuronal correlation": lambda score: score.neuronal_correlation,
    "neuronal correlation, last hidden layer": lambda score: score.last_neuronal_correlation,
    "weight correlation": lambda score: score.weight_correlation,
    "parameter norm": lambda score: score.parameter_norm,
    "margin (negated)": lambda score: -score.margin,
    "training loss": lambda score: score.loss,
}
GAPS = ("accuracy gap", "loss gap")


@dataclass(frozen=True)
class Trained:
    """One network of the sweep.

    Attributes:
        settings: what it was trained by, with its seed.
        score: on its own training data.
        gaps: test less training error, and loss, by their names in ``GAPS``.
    """

    settings: Mapping[str, Any]
    score: GeneralizationScore
    gaps: Mapping[str, float]


def trained(data: Dataset, settings: Mapping[str, Any], *, epochs: int = EPOCHS) -> Trained:
    """Train a network by SGD on some images drawn by its seed, and score it on them.

    Args:
        data: to draw from, and to test on.
        settings: ``n_train``, ``width``, ``depth`` (hidden layers), ``weight_decay``, ``batch_size``, ``seed``.
        epochs: at most.
    """
    some = _drawn(data, settings["n_train"], settings["seed"])
    n_inputs = some.train_x[0].numel()
    widths = [n_inputs, *[settings["width"]] * settings["depth"], some.n_classes]
    model = mlp(widths, seed=settings["seed"])
    chosen = {name: settings[name] for name in ("weight_decay", "batch_size", "seed")}
    fit(
        model,
        some,
        Settings(epochs=epochs, optimizer="sgd", learning_rate=0.05, momentum=0.9, **chosen),
        until_loss=FITTED,
    )
    found = scores(model, some)
    gaps = (found.accuracy - found.test_accuracy, found.test_loss - found.loss)
    batches = list(zip(some.train_x.split(BATCH), some.train_y.split(BATCH), strict=True))
    return Trained(settings, generalization_score(model, batches), dict(zip(GAPS, gaps, strict=True)))


def _drawn(data: Dataset, n_train: int, seed: int) -> Dataset:
    order = torch.randperm(len(data.train_x), generator=torch.Generator().manual_seed(seed))[:n_train]
    return Dataset(data.name, data.train_x[order], data.train_y[order], data.test_x, data.test_y, data.n_classes)


def swept(
    data: Dataset, settings: Iterable[Mapping[str, Any]] = SETTINGS, *, jobs: int = 1, epochs: int = EPOCHS
) -> list[Trained]:
    """All networks of a sweep, each on one thread."""
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        pool: Any = Parallel()
        return list(pool(delayed(trained)(data, one, epochs=epochs) for one in settings))


def overall(found: Sequence[Trained]) -> str:
    """A row for each number: τ with each gap over all networks; networks that differ in their seed stay together."""
    usable = _usable(found)
    rows = [[name, *(_ranked(usable, name, gap) for gap in GAPS)] for name in NUMBERS]
    return markdown_table(["larger goes with a larger", *GAPS], rows)


def at_each_number_of_images(found: Sequence[Trained]) -> str:
    """The same among networks trained on as many images, which is how networks are mostly compared."""
    usable = _usable(found)
    numbers = sorted({one.settings["n_train"] for one in usable})
    columns = [(gap, number) for gap in GAPS for number in numbers]
    parts = {number: [one for one in usable if one.settings["n_train"] == number] for number in numbers}
    rows = [[name, *(_ranked(parts[number], name, gap) for gap, number in columns)] for name in NUMBERS]
    return markdown_table(["larger goes with a larger", *(f"{gap}, {number} images" for gap, number in columns)], rows)


def _ranked(found: Sequence[Trained], name: str, gap: str) -> str:
    clusters = [tuple(sorted((k, v) for k, v in one.settings.items() if k != "seed")) for one in found]
    return _told(kendall(_numbers(found, name), _gaps(found, gap), clusters=clusters))


def one_at_a_time(found: Sequence[Trained], gap: str) -> str:
    """A row for each number: τ with a gap over networks that differ in one setting only, for each setting."""
    usable = _usable(found)
    settings = [one.settings for one in usable]
    axes = [axis for axis in settings[0] if axis != "seed"]
    rows = [
        [name, *(_told(within_settings(_numbers(usable, name), _gaps(usable, gap), settings, axis)) for axis in axes)]
        for name in NUMBERS
    ]
    return markdown_table(["", *axes], rows)


def described(found: Sequence[Trained]) -> str:
    """How many networks there are, how they fit, and how far their gaps reach."""
    usable = _usable(found)
    losses = sorted(one.score.loss for one in usable)
    parts = [f"{len(usable)} of {len(found)} networks have all numbers"]
    parts.append(f"training loss {losses[0]:.3f} to {losses[-1]:.3f} (median {losses[len(losses) // 2]:.3f})")
    for gap in GAPS:
        values = sorted(_gaps(usable, gap))
        parts.append(f"{gap} {values[0]:.3f} to {values[-1]:.3f} (median {values[len(values) // 2]:.3f})")
    return "; ".join(parts) + "."


def _usable(found: Sequence[Trained]) -> list[Trained]:
    """Without those of which a number is undefined, for instance as all units of a layer died."""
    return [one for one in found if all(math.isfinite(number(one.score)) for number in NUMBERS.values())]


def _numbers(found: Iterable[Trained], name: str) -> list[float]:
    return [NUMBERS[name](one.score) for one in found]


def _gaps(found: Iterable[Trained], gap: str) -> list[float]:
    return [one.gaps[gap] for one in found]


def _told(ranking: Ranking) -> str:
    return f"{ranking.tau:.2f} ({ranking.interval[0]:.2f} to {ranking.interval[1]:.2f})"


def main() -> None:
    """Train the sweep on MNIST, print the tables, and put them into a guide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", help="folder that holds mnist/")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--into", help="guide with the marks of the tables")
    asked = parser.parse_args()
    found = swept(mnist(data_root=asked.data_root), jobs=asked.jobs)
    tables = {"networks": described(found), "overall": overall(found), "images": at_each_number_of_images(found)}
    tables |= {gap.replace(" ", "-"): one_at_a_time(found, gap) for gap in GAPS}
    for name, text in tables.items():
        print(f"{name}\n\n{text}\n")
        if asked.into:
            put_into(asked.into, name, text)


if __name__ == "__main__":
    main()
