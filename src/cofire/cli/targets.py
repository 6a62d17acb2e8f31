"""What commands are pointed at: a checkpoint or ``module:factory``, and data to run it on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..nets.loading.checkpoint_files import Checkpoint

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="Weights (.safetensors, or a state dict in .pt, .pth, .bin, .ckpt), or module:factory to make a model.",
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="Weights for the model that module:factory makes.")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Inputs to run the model on: a folder of .npy arrays, a data set (digits, mnist, fashion-mnist, cifar10), "
        "or module:loader.",
    ),
]


@dataclass(frozen=True, eq=False)
class Target:
    """What was found at a target.

    Attributes:
        name: as it was given.
        model: in evaluation mode; None for a bare file of weights.
        checkpoint: the weights, those of a model too where a file of them was given.
        notes: what a reader should know of how it was read.
    """

    name: str
    model: "nn.Module | None"
    checkpoint: "Checkpoint | None"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to get at the weights."""
        return self.checkpoint.notes if self.checkpoint else ()

    @property
    def weights(self) -> "nn.Module | Mapping[str, Tensor]":
        """The model where there is one, which tells how its weights are used; else the weights by name."""
        if self.model is not None:
            return self.model
        return self.checkpoint.weights if self.checkpoint else {}


def load_target(target: str, *, weights: Path | None = None) -> Target:
    """A checkpoint, or the model that a factory makes, with the weights put into it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the target is of no known kind, is refused or damaged, or the weights do not fit.
    """
    from ..nets.loading.checkpoint_files import SUFFIXES, load_weights, read_checkpoint
    from ..nets.loading.factories import build_model, is_factory

    if Path(target).suffix in SUFFIXES or not is_factory(target):
        if weights is not None:
            raise ValueError(f"--weights goes with module:factory; {target} is weights itself")
        return Target(target, None, read_checkpoint(_known(target)))
    model = build_model(target).eval()
    checkpoint = read_checkpoint(weights) if weights is not None else None
    if checkpoint is not None:
        load_weights(model, checkpoint)
    return Target(target, model, checkpoint)


def load_data(data: str, *, max_samples: int) -> Iterable[Any]:
    """Batches to run a model on, the first ``max_samples`` samples; of a data set that cofire knows, its test part
    as (inputs, labels).

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is of no known kind, damaged or refused.
    """
    from ..nets.loading.batches import FirstSamples

    return FirstSamples(_batches(data), n_samples=max_samples)


def _known(target: str) -> Path:
    from ..nets.loading.checkpoint_files import SUFFIXES

    path = Path(target)
    if not path.exists() and path.suffix not in SUFFIXES:
        raise ValueError(f"{target!r} is neither a file ({', '.join(SUFFIXES)}) nor module:factory")
    return path


def _batches(data: str) -> Iterable[Any]:
    from ..nets.loading.batches import as_batches
    from ..nets.loading.factories import build_loader, is_factory
    from ..nets.loading.folders import Arrays
    from ..papers.training.datasets import DATASETS

    if data in DATASETS:
        found = DATASETS[data]()
        return list(zip(as_batches(found.test_x), as_batches(found.test_y), strict=True))
    if Path(data).exists():
        return Arrays(data)
    if is_factory(data):
        return as_batches(build_loader(data))
    raise ValueError(
        f"{data!r} is neither a folder of .npy arrays, nor a data set ({', '.join(DATASETS)}), nor module:loader"
    )
