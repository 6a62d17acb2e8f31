"""Batches of images from files."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..libraries.preprocessing import Preprocessing

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder and in the folders in it, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def batch_of_images(preprocessing: Preprocessing, folder: Path, paths: Sequence[Path]) -> Callable[..., Any]:
    """Return a function that makes a batch of some paths, with labels if each class has a folder of its own.

    A label is the model's number of the class of that name; else the folder's number in the order of names, as
    torchvision's ``ImageFolder`` counts.
    """
    classes = sorted({path.relative_to(folder).parts[0] for path in paths if path.parent != folder})
    labelled = len(classes) > 1 and all(path.parent != folder for path in paths)
    known = preprocessing.label_of
    numbers = known if set(classes) <= known.keys() else {name: index for index, name in enumerate(classes)}

    def make(some: Sequence[Path]) -> Any:
        batch = preprocessing.images([opened(path, str(path), preprocessing.image_mode) for path in some])
        if not (labelled and isinstance(batch, Tensor)):
            return batch
        return batch, torch.tensor([numbers[path.relative_to(folder).parts[0]] for path in some])

    return make


def opened(file: Path | bytes, name: str, mode: str) -> Any:
    """Return an image in memory, in a mode of Pillow.

    Raises:
        ValueError: if it is damaged, too large, or no image.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file) as image:
            return image.convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} is damaged, or no image that Pillow reads: {error}") from error
