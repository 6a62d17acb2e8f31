"""What commands load: a checkpoint or ``module:factory``, and the data to run it on."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from ..nets.loading.checkpoint_files import Checkpoint
    from ..nets.redundancy import RedundancyReport

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


def load_target(
    target: str, *, weights: Path | None = None, key: str | None = None, allow_unexpected: bool = False
) -> Target:
    """Load a checkpoint, or build a model with its factory and load the weights into it.

    Args:
        target: a file or folder of weights, or module:factory.
        weights: a file or folder of weights for the factory's model.
        key: where the weights are in the file.
        allow_unexpected: ignore weights that the factory's model lacks.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the target is of unknown kind, unsafe or damaged, or the weights do not fit.
    """
    from ..nets.loading.checkpoint_files import SUFFIXES, is_file_of_weights, load_weights, read_checkpoint
    from ..nets.loading.factories import build_model, is_factory

    if not is_file_of_weights(target) and is_factory(target):
        model = _evaluating(build_model(target), target)
        if weights is not None:
            checkpoint = load_weights(model, read_checkpoint(weights, key=key), allow_unexpected=allow_unexpected)
            return Target(target, _with_numbers(model, target), checkpoint)
        if key is not None or allow_unexpected:
            raise ValueError("--key and --allow-unexpected are about a file of weights; add --weights FILE")
        return Target(target, _with_numbers(model, target), None)
    if weights is not None:
        raise ValueError(f"--weights goes with module:factory, but {target} is a file of weights itself")
    if allow_unexpected:
        raise ValueError("--allow-unexpected is about a model that weights are loaded into; name its module:factory")
    if not is_file_of_weights(target) and not Path(target).exists():
        raise ValueError(f"{target!r} is neither a file of weights ({', '.join(SUFFIXES)}) nor module:factory")
    return Target(target, None, read_checkpoint(target, key=key))


def _evaluating(model: "nn.Module", target: str) -> "nn.Module":
    """Return a model in evaluation mode: dropout and batch statistics would make numbers of training."""
    try:
        return model.eval()
    except NotImplementedError as error:
        raise ValueError(
            f"the model of {target} is a program of torch.export, whose mode is fixed; build the module itself"
        ) from error


def _with_numbers(model: "nn.Module", target: str) -> "nn.Module":
    """Return a model; refuse one on the meta device, whose weights are shapes alone."""
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError(f"the model of {target} is on the meta device and has no numbers; add --weights FILE")
    return model


def weights_report(found: Target, **options: Any) -> "RedundancyReport":
    """Return how redundant a target's weights are; what could not be read from a file is left out with the reason."""
    from ..nets.redundancy import checkpoint_report, weight_redundancy_report

    if found.model is not None:
        return weight_redundancy_report(found.model, **options)
    if found.checkpoint is None:
        raise ValueError(f"{found.name} holds no weights")
    return checkpoint_report(found.checkpoint, **options)


def load_data(data: str, *, max_samples: int) -> Iterable[Any]:
    """Return batches with the first ``max_samples`` samples.

    A data set that cofire knows gives its test part, as (inputs, labels).

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if the data are of unknown kind, damaged or unsafe.
    """
    from ..nets.loading.batches import FirstSamples, as_batches
    from ..nets.loading.factories import build_loader, is_factory
    from ..nets.loading.inputs.arrays import Arrays
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
