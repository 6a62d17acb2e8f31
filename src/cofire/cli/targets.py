"""What commands load: a checkpoint or ``module:factory``, and the data to run it on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..nets.loading.checkpoint_files import Checkpoint

RESULTS = Path("runs/papers")
"""Folder where the experiments keep their results, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Target:
    """A loaded model or checkpoint.

    Attributes:
        name: the command's argument.
        model: in evaluation mode; None for a bare file of weights.
        checkpoint: the file of weights, if one was given.
        notes: how the weights were extracted from the file, in sentences for the user.
    """

    name: str
    model: "nn.Module | None"
    checkpoint: "Checkpoint | None"

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes of the checkpoint."""
        return self.checkpoint.notes if self.checkpoint else ()

    @property
    def weights(self) -> "nn.Module | Mapping[str, Tensor]":
        """Return the model if there is one, as it shows how its weights are used; else the weights by name."""
        if self.model is not None:
            return self.model
        return self.checkpoint.weights if self.checkpoint else {}


def load_target(target: str, *, weights: Path | None = None) -> Target:
    """Load a checkpoint, or build a model with its factory and load the weights into it.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the target is of unknown kind, unsafe or damaged, or the weights do not fit.
    """
    from ..nets.loading.checkpoint_files import SUFFIXES, load_weights, read_checkpoint
    from ..nets.loading.factories import build_model, is_factory

    path = Path(target)
    if path.suffix not in SUFFIXES and is_factory(target):
        model = build_model(target).eval()  # dropout and batch statistics would make numbers of training
        checkpoint = None if weights is None else read_checkpoint(weights)
        if checkpoint is not None:
            load_weights(model, checkpoint)
        return Target(target, model, checkpoint)
    if weights is not None:
        raise ValueError(f"--weights goes with module:factory, but {target} is a file of weights itself")
    if path.suffix not in SUFFIXES and not path.exists():
        raise ValueError(f"{target!r} is neither a file of weights ({', '.join(SUFFIXES)}) nor module:factory")
    return Target(target, None, read_checkpoint(path))


def load_data(data: str, *, max_samples: int) -> Iterable[Any]:
    """Return batches with the first ``max_samples`` samples.

    A data set that cofire knows gives its test part, as (inputs, labels).

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if the data are of unknown kind, damaged or unsafe.
    """
    from ..nets.loading.batches import FirstSamples, as_batches
    from ..nets.loading.factories import build_loader, is_factory
    from ..nets.loading.folders import Arrays
    from ..papers.training.datasets import DATASETS

    if data in DATASETS:
        found = DATASETS[data]()
        batches = list(zip(as_batches(found.test_x), as_batches(found.test_y), strict=True))
    elif Path(data).exists():
        batches = Arrays(data)
    elif is_factory(data):
        batches = as_batches(build_loader(data))
    else:
        kinds = f"a folder of .npy arrays, nor a data set ({', '.join(DATASETS)}), nor module:loader"
        raise ValueError(f"{data!r} is neither {kinds}")
    return FirstSamples(batches, n_samples=max_samples)
