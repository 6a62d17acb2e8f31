"""Models of torchvision."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ...layer_names import near
from .preprocessing import Preprocessing, first_line


class Torchvision(Preprocessing):
    """Prepares images by the transform that torchvision keeps with the weights of a model."""

    takes = "images"

    def __init__(self, model: nn.Module, weights: Any) -> None:
        super().__init__(model)
        self.by = f"torchvision's transform of {type(weights).__name__}.{weights.name}"
        self._transform = weights.transforms()
        self.label_of = {name: index for index, name in enumerate(weights.meta.get("categories", ()))}

    def images(self, images: Sequence[Any]) -> Any:
        """Return a batch of images."""
        return torch.stack([self._transform(image) for image in images])

    def noise(self, n: int, generator: torch.Generator) -> Any:
        """Return a batch of standard normal numbers in the shape of prepared images."""
        from PIL import Image

        shape = self._transform(Image.new("RGB", (640, 480))).shape
        return torch.randn(n, *shape, generator=generator)


def torchvision_model(name: str, *, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    """Return a model of torchvision with its preprocessing, for example ``resnet50`` or ``resnet50.IMAGENET1K_V1``.

    Raises:
        ModuleNotFoundError: if torchvision is not installed.
        ValueError: if there is no such model or weights, or they can't be fetched.
    """
    from torchvision import models  # pyright: ignore[reportMissingImports] - users install it

    base, _, tag = name.partition(".")
    if base not in models.list_models():
        raise ValueError(f"torchvision has no model {base!r}; {near(base, models.list_models())}")
    known = models.get_model_weights(base)
    names = [one.name for one in known]
    if tag and tag not in names:
        raise ValueError(f"torchvision's {base} has no weights {tag!r}; it has {', '.join(names)}")
    weights = known[tag] if tag else known.DEFAULT  # pyright: ignore[reportAttributeAccessIssue] - every such enum has it
    try:
        model = models.get_model(base, weights=weights if pretrained else None)
    except Exception as error:  # the network's errors are of many types
        raise ValueError(
            f"torchvision could not make {name!r} with its pretrained weights, {first_line(error)}; check the "
            "network, or give a file with --weights"
        ) from error
    return model, Torchvision(model, weights)
