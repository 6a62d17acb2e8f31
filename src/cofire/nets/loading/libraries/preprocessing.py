"""Turn images, texts and sounds into batches of a model, as its library does."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from PIL.Image import Image


class Preprocessing:
    """Prepares what a model takes. This one is for models of no known library, and changes as little as possible.

    Attributes:
        by: what prepares the inputs, for a note; empty if nothing does.
        takes: ``"images"``, ``"texts"`` or ``"sounds"``, if the model takes only that.
        rate: samples per second that sounds must have; None for any, as long as all have the same.
        image_mode: of the images that are passed in, ``"RGB"`` or ``"L"``.
        label_of: the model's number of a class by its name, if it has names.
    """

    by: str = ""
    takes: str | None = None
    rate: int | None = None
    image_mode: str = "RGB"
    label_of: Mapping[str, int] = {}

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def images(self, images: "Sequence[Image]") -> Any:
        """Return a batch of images, float32 of shape (n, channels, height, width).

        Raises:
            ValueError: if they can't be put into one batch.
        """
        sizes = {image.size for image in images}
        if len(sizes) > 1:
            raise ValueError(
                f"the images have several sizes, such as {' and '.join(f'{w}x{h}' for w, h in sorted(sizes)[:2])}, and "
                "the model's library, which would say how to resize them, is unknown; resize them, or give a "
                "module:loader that does"
            )
        arrays = np.stack([np.asarray(image, dtype=np.float32) / 255 for image in images])
        tensor = torch.from_numpy(arrays)
        return tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()

    def texts(self, texts: Sequence[str]) -> Any:
        """Return a batch of texts.

        Raises:
            ValueError: if the model has no tokenizer.
        """
        raise ValueError(
            "text needs the model's tokenizer, and this model has none; name a folder or hub id of transformers, or "
            "give a module:loader that makes the batches"
        )

    def sounds(self, sounds: Sequence[NDArray[np.float32]]) -> Any:
        """Return a batch of mono sounds between -1 and 1, float32 of shape (n, length).

        Raises:
            ValueError: if they can't be put into one batch.
        """
        lengths = sorted({len(sound) for sound in sounds})
        if len(lengths) > 1:
            raise ValueError(
                f"the sounds have several lengths, such as {lengths[0]:,} and {lengths[1]:,} samples, and the model's "
                "library, which would say how to pad them, is unknown; cut them, or give a module:loader that does"
            )
        return torch.from_numpy(np.stack(sounds))

    def noise(self, n: int, generator: torch.Generator) -> Any:
        """Return a batch of n random inputs.

        Raises:
            ValueError: if the shape of the model's inputs is unknown.
        """
        example = getattr(self.model, "example_input_array", None)
        if isinstance(example, Tensor) and example.ndim and example.is_floating_point():
            return torch.randn(n, *example.shape[1:], generator=generator)
        raise ValueError(
            "the model does not say which shape its inputs have; name the shape of one input, for example "
            "random:3,224,224"
        )


def first_line(error: BaseException) -> str:
    """Return an error's type and the first line of its text."""
    line = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
