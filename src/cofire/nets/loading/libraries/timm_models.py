"""Models of timm."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ...layer_names import near
from .preprocessing import Preprocessing, first_line


class Timm(Preprocessing):
    """Prepares images by the transform that timm derives from a model's configuration."""

    takes = "images"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.by = "timm's transform for validation"
        self.image_mode = "L" if self._config["input_size"][0] == 1 else "RGB"

    @cached_property
    def _config(self) -> dict[str, Any]:
        from timm.data.config import resolve_model_data_config  # pyright: ignore[reportMissingImports] - users install it

        return resolve_model_data_config(self.model)

    @cached_property
    def _transform(self) -> Any:
        from timm.data.transforms_factory import create_transform  # pyright: ignore[reportMissingImports] - users install it

        return create_transform(**self._config, is_training=False)

    def images(self, images: Sequence[Any]) -> Any:
        """Return a batch of images."""
        return torch.stack([self._transform(image) for image in images])

    def noise(self, n: int, generator: torch.Generator) -> Any:
        """Return a batch of standard normal numbers in the shape of prepared images."""
        return torch.randn(n, *self._config["input_size"], generator=generator)


def timm_model(name: str, *, pretrained: bool) -> nn.Module:
    """Return a model of timm by its name, for example ``resnet18.a1_in1k`` or ``hf-hub:owner/name``.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        ValueError: if there is no such model, or its weights can't be fetched.
    """
    import timm  # pyright: ignore[reportMissingImports] - users install it

    try:
        return timm.create_model(name, pretrained=pretrained)
    except Exception as error:  # what fails in it is timm's, the hub's or the network's
        if ":" not in name and not timm.is_model(name):
            known = [*timm.list_models(), *timm.list_pretrained()]
            raise ValueError(f"timm has no model {name!r}; {near(name, known)}") from error
        raise ValueError(
            f"timm could not make {name!r} with its pretrained weights, {first_line(error)}; check the network, or "
            "give a file with --weights"
        ) from error
