"""Data sets held in memory: digits (bundled), MNIST, Fashion-MNIST and CIFAR-10 (read or downloaded)."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .download import Remote, fetch
from .file_formats import read_cifar_batch, read_idx

DATA_ROOT = "COFIRE_DATA_ROOT"
DIGITS_TEST = 360


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels for training and for testing.

    Attributes:
        name: of the data set.
        train_x: float32 in [0, 1], shape (n, channels, height, width).
        train_y: int64 labels, shape (n,).
        test_x: as ``train_x``.
        test_y: as ``train_y``.
        n_classes: labels run from 0 to ``n_classes - 1``.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    n_classes: int

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on a device."""
        parts = (part.to(device) for part in (self.train_x, self.train_y, self.test_x, self.test_y))
        return Dataset(self.name, *parts, n_classes=self.n_classes)

    def first(self, n_train: int, n_test: int | None = None) -> "Dataset":
        """The first samples of each part, for small versions of an experiment."""
        return Dataset(
            self.name,
            self.train_x[:n_train],
            self.train_y[:n_train],
            self.test_x[:n_test],
            self.test_y[:n_test],
            self.n_classes,
        )

    def held_out(self, n_last: int) -> "Dataset":
        """The last training samples in place of the test set, and the others to train on.

        Raises:
            ValueError: if that leaves nothing to train on, or nothing held out.
        """
        if not 0 < n_last < len(self.train_x):
            raise ValueError(f"of {len(self.train_x)} training samples 1 to all but 1 can be held out, got {n_last}")
        x, y = self.train_x, self.train_y
        return Dataset(self.name, x[:-n_last], y[:-n_last], x[-n_last:], y[-n_last:], self.n_classes)

    def standardized(self) -> "Dataset":
        """Inputs less the mean of the training inputs, over their standard deviation, for each channel."""
        deviation, mean = torch.std_mean(self.train_x, dim=(0, 2, 3), keepdim=True)
        train, test = ((x - mean) / deviation for x in (self.train_x, self.test_x))
        return Dataset(self.name, train, self.train_y, test, self.test_y, self.n_classes)


def digits(*, seed: int = 0) -> Dataset:
    """scikit-learn's bundled 8×8 digits: 1437 to train on, 360 to test on, split at random by the seed.

    Raises:
        ImportError: if scikit-learn is absent.

    Example:
        >>> digits().train_x.shape
        torch.Size([1437, 1, 8, 8])
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('the digits come with scikit-learn: pip install "cofire[papers]"') from error
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).numpy()
    x = torch.from_numpy(np.asarray(images, np.float32)[order] / 16).reshape(-1, 1, 8, 8)
    y = torch.from_numpy(np.asarray(labels, np.int64)[order])
    return Dataset("digits", x[:-DIGITS_TEST], y[:-DIGITS_TEST], x[-DIGITS_TEST:], y[-DIGITS_TEST:], 10)


_IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MNIST = Remote(
    folder="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    md5={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb86873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
_FASHION_MNIST = Remote(
    folder="fashion-mnist",
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    md5={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
_CIFAR10 = Remote(
    folder="cifar-10-batches-py",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    md5={"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
)
_CIFAR10_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def mnist(*, data_root: str | Path | None = None) -> Dataset:
    """MNIST: 60,000 handwritten digits to train on, 10,000 to test on, 28×28.

    Args:
        data_root: the folder with the idx files (gzipped or not), or the one that holds it as ``mnist/``. By
            default the environment variable ``COFIRE_DATA_ROOT``; without that, they are downloaded once,
            checked, and kept in the user's cache.

    Raises:
        FileNotFoundError: if the folder does not have them.
        ValueError: if a file is damaged or is something else.
    """
    return _idx_dataset("mnist", _MNIST, data_root)


def fashion_mnist(*, data_root: str | Path | None = None) -> Dataset:
    """Fashion-MNIST: 60,000 pictures of clothes to train on, 10,000 to test on, 28×28.

    Args and errors are those of `mnist`; the folder is ``fashion-mnist/``.
    """
    return _idx_dataset("fashion-mnist", _FASHION_MNIST, data_root)


def _idx_dataset(name: str, remote: Remote, data_root: str | Path | None) -> Dataset:
    folder = _folder(remote, data_root, _IDX)
    paths = [_idx_path(folder, file) for file in _IDX]
    train_x, train_y, test_x, test_y = (read_idx(path.read_bytes(), str(path)) for path in paths)
    train = _idx_pair(train_x, train_y, paths[0])
    test = _idx_pair(test_x, test_y, paths[2])
    return Dataset(name, *train, *test, n_classes=10)


def _idx_pair(images: NDArray[np.uint8], labels: NDArray[np.uint8], path: Path) -> tuple[Tensor, Tensor]:
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"{path} and its labels do not belong together: {images.shape} and {labels.shape}")
    if labels.size and labels.max() > 9:
        raise ValueError(f"the labels of {path} must be 0 to 9, got {labels.max()}")
    return _as_pixels(images[:, None]), torch.from_numpy(labels.astype(np.int64))


def cifar10(*, data_root: str | Path | None = None) -> Dataset:
    """CIFAR-10: 50,000 colour pictures to train on, 10,000 to test on, 3×32×32.

    The batches are pickles; they are read by an unpickler that knows arrays and nothing else.

    Args:
        data_root: the folder with ``data_batch_1`` …, or the one that holds it as ``cifar-10-batches-py/``.
            By default as for `mnist`.

    Raises:
        FileNotFoundError: if the folder does not have them.
        ValueError: if a file is damaged, is something else, or tries to run code.
    """
    read = _cifar_reader(data_root)
    batches = [read_cifar_batch(read(name), name) for name in _CIFAR10_BATCHES]
    images, labels = zip(*batches, strict=True)
    return Dataset(
        "cifar10",
        _as_pixels(np.concatenate(images[:-1])),
        torch.from_numpy(np.concatenate(labels[:-1])),
        _as_pixels(images[-1]),
        torch.from_numpy(labels[-1]),
        n_classes=10,
    )


def _cifar_reader(data_root: str | Path | None) -> Callable[[str], bytes]:
    """What reads one batch by its name: from a folder, or out of the archive, which is never unpacked."""
    folder = _folder(_CIFAR10, data_root, _CIFAR10_BATCHES)
    archive = folder / "cifar-10-python.tar.gz"
    if not archive.is_file():
        return lambda name: (folder / name).read_bytes()

    def from_archive(name: str) -> bytes:
        with tarfile.open(archive) as tar:
            member = tar.extractfile(f"cifar-10-batches-py/{name}")
            if member is None:
                raise ValueError(f"{archive} holds no file {name}")
            return member.read()

    return from_archive


DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
}


def load(name: str) -> Dataset:
    """A data set by its name, read once in a process.

    Raises:
        ValueError: if there is none of that name.

    Example:
        >>> load("digits") is load("digits")
        True
    """
    if name not in DATASETS:
        raise ValueError(f"there is no data set {name!r}; there are: {', '.join(DATASETS)}")
    return _loaded(name, os.environ.get(DATA_ROOT))


@cache
def _loaded(name: str, data_root: str | None) -> Dataset:
    """The root is part of what is remembered, for it may be set anew."""
    return DATASETS[name]()


def _folder(remote: Remote, data_root: str | Path | None, names: tuple[str, ...]) -> Path:
    data_root = data_root or os.environ.get(DATA_ROOT)
    if data_root is None:
        return fetch(remote)
    candidates = (Path(data_root) / remote.folder, Path(data_root))
    for folder in candidates:
        if all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in names):
            return folder
    raise FileNotFoundError(
        f"{' and '.join(map(str, candidates))} lack files of the data set; wanted are: {', '.join(names)}"
    )


def _idx_path(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _as_pixels(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images.astype(np.float32) / np.float32(255))
