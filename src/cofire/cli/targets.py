"""What commands load: a checkpoint or a model, and the data to run it on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from ..nets.loading.checkpoint_files import Checkpoint
    from ..nets.loading.inputs.find_inputs import Inputs
    from ..nets.loading.libraries.preprocessing import Preprocessing
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
        preprocessing: how the model's library prepares inputs; None without a model.
        remarks: how the model was made, in sentences for the user.
        factory: what makes such a model in Python, as ``module:expression``.
    """

    name: str
    model: "nn.Module | None"
    checkpoint: "Checkpoint | None"
    preprocessing: "Preprocessing | None" = None
    remarks: tuple[str, ...] = ()
    factory: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return how the model was made, and how the weights were extracted from the file."""
        return (*self.remarks, *(self.checkpoint.notes if self.checkpoint else ()))


@dataclass(frozen=True, kw_only=True)
class Loading:
    """The options that say what a command loads and how it runs.

    Attributes:
        weights: a file or folder of weights for the target's model.
        key: where the weights are in the file.
        allow_unexpected: ignore weights that the model lacks.
        resize: also take weights of a network that was made smaller.
        task: of transformers' pipelines.
        data: what the model runs on.
        column: of a table or data set.
        max_samples: how many inputs run at most.
        batch_size: inputs in a batch.
        device: where to compute.
        dtype: precision of the model and its inputs.
    """

    weights: Path | None = None
    key: str | None = None
    allow_unexpected: bool = False
    resize: bool = False
    task: str | None = None
    data: str | None = None
    column: str | None = None
    max_samples: int = 5000
    batch_size: int | None = None
    device: str = "cpu"
    dtype: str | None = None

    def target(self, name: str) -> Target:
        """Return the target of that name, its model on the device.

        Raises:
            FileNotFoundError: if the file does not exist.
            ModuleNotFoundError: if the model's library is not installed.
            ValueError: if the target is of unknown kind, unsafe or damaged, or the weights do not fit.
        """
        place = device_named(self.device)
        if self.data is None:
            self._check_no_data()
        found = self._loaded(name)
        if found.model is None:
            if self.data is not None:
                # Only compare takes resized weights, and it names the model by an option.
                remedy = (
                    "add --model module:factory" if self.resize else "give module:factory, and the file as --weights"
                )
                raise ValueError(
                    f"--data needs a model to run, but {name} holds only weights; {remedy} (timm:NAME and "
                    "torchvision:NAME do as well), or give a folder or hub id of transformers"
                )
            return found
        return replace(found, model=found.model.to(place, _dtype(self.dtype)))

    def inputs(self, target: Target, data: str | None = None) -> "Inputs":
        """Return the batches of ``data``, or of ``--data``, as the target's model takes them.

        A data set that cofire knows gives its test part, as (inputs, labels).

        Raises:
            FileNotFoundError: if the file does not exist.
            ModuleNotFoundError: if a library that is needed is not installed.
            ValueError: if the data are of unknown kind, damaged or unsafe, or the model can't take such.
        """
        from ..nets.loading.inputs.find_inputs import Wanted, find_inputs
        from ..papers.training.datasets import DATASETS

        assert target.preprocessing is not None
        precision = _dtype(self.dtype) or _own_precision(target.model)
        wanted = Wanted(self.max_samples, self.batch_size, self.column, precision)
        known = {name: partial(_test_part, load) for name, load in DATASETS.items()}
        return find_inputs(data or self.data or "", target.preprocessing, wanted, known)

    def _check_no_data(self) -> None:
        for option, given in (("column", self.column), ("batch-size", self.batch_size), ("dtype", self.dtype)):
            if given is not None:
                raise ValueError(f"--{option} is about a run on data; add --data")

    def _loaded(self, name: str) -> Target:
        from ..nets.loading.checkpoint_files import is_file_of_weights, read_checkpoint
        from ..nets.loading.factories import build_model, is_factory
        from ..nets.loading.libraries.named_models import (
            PREFIXES,
            TIMM,
            TORCHVISION,
            is_named_model,
            is_pretrained_folder,
            load_named,
            preprocessing_of,
        )

        is_file = is_file_of_weights(name) and not name.startswith(PREFIXES)
        runs = self.data is not None or self.task is not None
        if not is_file and (is_named_model(name) or (runs and is_pretrained_folder(name))):
            if self.weights is not None and not name.startswith((TIMM, TORCHVISION)):
                raise ValueError(f"--weights goes with a model without weights; {name} holds weights itself")
            named = load_named(name, task=self.task, pretrained=self.weights is None)
            return self._with_weights(Target(name, named.model, None, named.preprocessing, named.notes, named.factory))
        if self.task is not None:
            raise ValueError(f"--task builds a model of transformers; give its folder or hub id instead of {name}")
        if not is_file and is_factory(name):
            model = _evaluating(build_model(name), name)
            return self._with_weights(Target(name, model, None, preprocessing_of(model), factory=name))
        if self.weights is not None:
            raise ValueError(f"--weights goes with module:factory and its like, but {name} holds weights itself")
        if self.allow_unexpected:
            raise ValueError(
                "--allow-unexpected is about a model that weights are loaded into; name its module:factory"
            )
        if not is_file and not Path(name).exists():
            raise ValueError(f"{name!r} was not found; {_accepted(name)}")
        return Target(name, None, read_checkpoint(name, key=self.key))

    def _with_weights(self, found: Target) -> Target:
        """Return a target whose model has the weights of the file, if one was given."""
        from ..nets.loading.checkpoint_files import load_weights, read_checkpoint
        from ..nets.shrinking.forms.weights import PLAN, load_shrunk
        from ..nets.surgery.merged_files import load_resized

        assert found.model is not None
        if self.weights is None:
            if self.key is not None or self.allow_unexpected:
                raise ValueError("--key and --allow-unexpected are about a file of weights; add --weights FILE")
            return replace(found, model=_with_numbers(found.model, found.name))
        checkpoint = read_checkpoint(self.weights, key=self.key)
        if (self.weights / PLAN).is_file():
            load_shrunk(found.model, self.weights)
            notes = (*checkpoint.notes, f"layers were made smaller, as {PLAN} says")
            checkpoint = replace(checkpoint, notes=notes)
        else:
            load = load_resized if self.resize else load_weights
            checkpoint = load(found.model, checkpoint, allow_unexpected=self.allow_unexpected)
        return replace(found, model=_with_numbers(found.model, found.name), checkpoint=checkpoint)


def _accepted(name: str) -> str:
    from ..nets.loading.checkpoint_files import SUFFIXES

    hub = f"; on the Hugging Face hub it would be hf:{name}" if name.isidentifier() or "-" in name else ""
    return (
        f"a target is a file of weights ({', '.join(SUFFIXES)}), a folder or hub id of transformers (owner/name, "
        f"hf:name), timm:NAME, torchvision:NAME, or module:factory{hub}"
    )


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


def _test_part(load: Callable[[], Any]) -> tuple[Any, Any]:
    found = load()
    return found.test_x, found.test_y


def _dtype(name: str | None) -> Any:
    import torch

    return None if name is None else getattr(torch, name)


def _own_precision(model: Any) -> Any:
    """Return the precision of all weights of a model if it is another than inputs are read in, else None."""
    import torch

    found = {one.dtype for one in model.parameters() if one.is_floating_point()} if model is not None else set()
    return found.pop() if len(found) == 1 and torch.float32 not in found else None


def device_named(name: str) -> Any:
    """Return a device of torch.

    Raises:
        ValueError: if this machine has none of that name.
    """
    import torch

    devices = ["cpu"]
    if torch.accelerator.is_available() and (kind := torch.accelerator.current_accelerator()):
        devices += [kind.type, *(f"{kind.type}:{index}" for index in range(torch.accelerator.device_count()))]
    if name not in devices:
        raise ValueError(f"device {name!r} is not available; choose from: {', '.join(devices)}")
    return torch.device(name)


def weights_report(found: Target, **options: Any) -> "RedundancyReport":
    """Return how redundant a target's weights are; what could not be read from a file is left out with the reason."""
    from ..nets.redundancy import checkpoint_report, weight_redundancy_report

    if found.model is not None:
        return weight_redundancy_report(found.model, **options)
    if found.checkpoint is None:
        raise ValueError(f"{found.name} holds no weights")
    return checkpoint_report(found.checkpoint, **options)


def described(found: Target, loading: Loading, inputs: "Inputs | None") -> dict[str, str]:
    """Return how something was measured, as names and text for a page."""
    made = {"target": found.name}
    made |= {"weights": str(found.checkpoint.path)} if found.checkpoint and found.model else {}
    if inputs is not None:
        made |= {"data": loading.data or "", "at most": f"{loading.max_samples:,} inputs"}
        made |= {"precision": loading.dtype} if loading.dtype else {}
    notes = notes_on(found, inputs)
    return made | {f"note {place}" if place > 1 else "note": note for place, note in enumerate(notes, 1)}


def notes_on(found: Target, inputs: "Inputs | None") -> tuple[str, ...]:
    """Return what a reader should know of a model and its data, in sentences without a period."""
    return (*found.notes, *(inputs.notes if inputs is not None else ()))


def shown_name(found: Target, inputs: "Inputs | None") -> str:
    """Return a target's name, which says so if it was run on random inputs."""
    return f"{found.name} (on random inputs)" if inputs is not None and inputs.kind == "random" else found.name


def data_as_plain(loading: Loading, inputs: "Inputs | None") -> dict[str, Any] | None:
    """Return what the model ran on, for JSON; None if it did not run."""
    if inputs is None:
        return None
    return {"given": loading.data, "kind": inputs.kind, "max_samples": loading.max_samples, "dtype": loading.dtype}
