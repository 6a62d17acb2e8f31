"""Models by the names that libraries give them: ``timm:NAME``, ``torchvision:NAME``, a hub id of transformers."""

import re
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..pretrained_folders import configuration_beside
from .preprocessing import Preprocessing

TIMM, TORCHVISION, HUB = "timm:", "torchvision:", "hf:"
PREFIXES = (TIMM, TORCHVISION, HUB)
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A model of a library.

    Attributes:
        model: in evaluation mode.
        preprocessing: how its library prepares inputs.
        factory: what makes such a model in Python, as ``module:expression``.
        notes: what a reader should know, in sentences without a period.
    """

    model: nn.Module
    preprocessing: Preprocessing
    factory: str
    notes: tuple[str, ...] = ()


def is_pretrained_folder(text: str) -> bool:
    """Return whether a text is a folder from which transformers can build a model."""
    folder = Path(text)
    found = configuration_beside(folder / "config.json") if folder.is_dir() else {}
    return any(key in found for key in ("model_type", "architectures", "architecture"))


def is_named_model(text: str) -> bool:
    """Return whether a text names a model of a library, which a folder of the same name would not be.

    Example:
        >>> [is_named_model(one) for one in ("timm:resnet18", "hf:gpt2", "google/vit-base", "nets.small:build", "a.pt")]
        [True, True, True, False, False]
    """
    return text.startswith(PREFIXES) or (HUB_ID.fullmatch(text) is not None and not Path(text).parent.exists())


def load_named(text: str, *, task: str | None = None, pretrained: bool = True) -> NamedModel:
    """Return the model of a library, with its pretrained weights unless others will be loaded.

    Args:
        text: ``timm:NAME``, ``torchvision:NAME``, ``hf:NAME``, a hub id, or a folder of ``save_pretrained``.
        task: of transformers' pipelines, which chooses the head: ``text-classification``.
        pretrained: whether to fetch its weights; False only for timm and torchvision.

    Raises:
        ModuleNotFoundError: if the library is not installed.
        ValueError: if there is no such model, or its weights can't be fetched.
    """
    library, _, name = text.partition(":")
    if task is not None and text.startswith((TIMM, TORCHVISION)):
        raise ValueError(f"--task chooses the head of a model of transformers; {text} has one head")
    if text.startswith(TIMM):
        from .timm_models import Timm, timm_model

        model = timm_model(name, pretrained=pretrained)
        return NamedModel(model.eval(), Timm(model), f"timm:create_model({name!r})")
    if text.startswith(TORCHVISION):
        from .torchvision_models import torchvision_model

        model, preprocessing = torchvision_model(name, pretrained=pretrained)
        return NamedModel(model.eval(), preprocessing, f"torchvision.models:get_model({name.partition('.')[0]!r})")
    from .transformers_models import transformers_model

    source = name if library == "hf" else text
    model, preprocessing, notes = transformers_model(source, task=task)
    factory = f"transformers:{type(model).__name__}.from_pretrained({source!r})"
    return NamedModel(model.eval(), preprocessing, factory, notes)


def preprocessing_of(model: nn.Module) -> Preprocessing:
    """Return how a model that somebody built is prepared for, by what its class's library has left in it."""
    if isinstance(getattr(model, "pretrained_cfg", None), dict):
        from .timm_models import Timm

        return Timm(model)
    if hasattr(getattr(model, "config", None), "model_type") and hasattr(model, "main_input_name"):
        from .transformers_models import Transformers

        return Transformers(model, str(getattr(model, "name_or_path", "")))
    return Preprocessing(model)
