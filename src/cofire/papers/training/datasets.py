"""Image data sets held in memory: digits (bundled), MNIST, Fashion-MNIST and CIFAR-10 (read or downloaded)."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..framework.tasks import DATA_ROOT
from .download import Remote, fetch
from .file_formats import read_cifar_batch, read_idx

DIGITS_TEST = 360


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels for training and for testing.

    Attributes:
        name: name of the data set.
        train_x: float32 in [0, 1], shape (n, channels, height, width).
        train_y: int64 labels, shape (n,).
        test_x: like ``train_x``.
        test_y: like ``train_y``.
        n_classes: labels run from 0 to ``n_classes - 1``.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    n_classes: int

    def on(self, device: torch.device) -> "Dataset":
        """Return the data on a device; where they are there already, nothing is copied."""
        parts = ("train_x", "train_y", "test_x", "test_y")
        return replace(self, **{name: getattr(self, name).to(device) for name in parts})

    def first(self, n_train: int, n_test: int | None = None) -> "Dataset":
        """Return the first samples of each part, for small versions of an experiment."""
        train, test = (self.train_x[:n_train], self.train_y[:n_train]), (self.test_x[:n_test], self.test_y[:n_test])
        return Dataset(self.name, *train, *test, self.n_classes)

    def held_out(self, n_last: int) -> "Dataset":
        """Return a data set whose test part is the last ``n_last`` training samples, removed from the training part.

        Raises:
            ValueError: if no sample is left to train on, or none is held out.
        """
        if not 0 < n_last < len(self.train_x):
            raise ValueError(f"n_last must be between 1 and {len(self.train_x) - 1}, got {n_last}")
        x, y = self.train_x, self.train_y
        return Dataset(self.name, x[:-n_last], y[:-n_last], x[-n_last:], y[-n_last:], self.n_classes)

    def standardized(self) -> "Dataset":
        """Return the data with each channel shifted and scaled to mean 0 and deviation 1 on the training images."""
        deviation, mean = torch.std_mean(self.train_x, dim=(0, 2, 3), keepdim=True)
        return replace(self, train_x=(self.train_x - mean) / deviation, test_x=(self.test_x - mean) / deviation)


def digits(*, seed: int = 0) -> Dataset:
    """Load scikit-learn's bundled 8×8 digits: 1437 to train on, 360 to test on, split at random.

    Args:
        seed: random seed for the split.

    Raises:
        ImportError: if scikit-learn is not installed.

    Example:
        >>> digits().train_x.shape
        torch.Size([1437, 1, 8, 8])
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('the digits data set comes with scikit-learn: pip install "cofire[demo]"') from error
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).numpy()
    x = torch.from_numpy(np.asarray(images, np.float32)[order] / 16).reshape(-1, 1, 8, 8)
    y = torch.from_numpy(np.asarray(labels, np.int64)[order])
    return Dataset("digits", x[:-DIGITS_TEST], y[:-DIGITS_TEST], x[-DIGITS_TEST:], y[-DIGITS_TEST:], 10)


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MNIST = Remote(
    folder="mnist",
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
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
    """Load MNIST: 60,000 handwritten digits to train on, 10,000 to test on, 28×28.

    Args:
        data_root: folder that holds the idx files (gzipped or not), or its parent, with the files in ``mnist/``.
            Defaults to the environment variable ``COFIRE_DATA_ROOT``; without it, the files are downloaded once,
            checked, and kept in the user's cache.

    Raises:
        FileNotFoundError: if the folder lacks a file.
        ValueError: if a file is damaged or has another format.
    """
    return _idx_dataset("mnist", _MNIST, data_root)


def fashion_mnist(*, data_root: str | Path | None = None) -> Dataset:
    """Load Fashion-MNIST: 60,000 pictures of clothes to train on, 10,000 to test on, 28×28.

    Args and errors are those of `mnist`; the folder is ``fashion-mnist/``.
    """
    return _idx_dataset("fashion-mnist", _FASHION_MNIST, data_root)


def _idx_dataset(name: str, remote: Remote, data_root: str | Path | None) -> Dataset:
    folder = _folder(remote, data_root, _IDX)
    paths = [path if (path := folder / file).is_file() else folder / f"{file}.gz" for file in _IDX]
    train_x, train_y, test_x, test_y = (read_idx(path.read_bytes(), str(path)) for path in paths)
    train = _idx_pair(train_x, train_y, paths[0])
    test = _idx_pair(test_x, test_y, paths[2])
    return Dataset(name, *train, *test, n_classes=10)


def _idx_pair(images: NDArray[np.uint8], labels: NDArray[np.uint8], path: Path) -> tuple[Tensor, Tensor]:
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"{path} and its labels do not match: shapes {images.shape} and {labels.shape}")
    if labels.size and labels.max() > 9:
        raise ValueError(f"labels for {path} must be 0 to 9, got {labels.max()}")
    return _as_pixels(images[:, None]), torch.from_numpy(labels.astype(np.int64))


def cifar10(*, data_root: str | Path | None = None) -> Dataset:
    """Load CIFAR-10: 50,000 color pictures to train on, 10,000 to test on, 3×32×32.

    The batches are pickles; an unpickler that accepts arrays only reads them.

    Args:
        data_root: folder that holds ``data_batch_1`` …, or its parent, with the files in ``cifar-10-batches-py/``.
            Defaults as for `mnist`.

    Raises:
        FileNotFoundError: if the folder lacks a file.
        ValueError: if a file is damaged, has another format, or tries to run code.
    """
    folder = _folder(_CIFAR10, data_root, _CIFAR10_BATCHES)
    batches = [read_cifar_batch(_cifar_bytes(folder, name), name) for name in _CIFAR10_BATCHES]
    images, labels = zip(*batches, strict=True)
    train = _as_pixels(np.concatenate(images[:-1])), torch.from_numpy(np.concatenate(labels[:-1]))
    return Dataset("cifar10", *train, _as_pixels(images[-1]), torch.from_numpy(labels[-1]), n_classes=10)


def _cifar_bytes(folder: Path, name: str) -> bytes:
    """Read one batch from the folder, or from the downloaded archive without unpacking it to disk."""
    archive = folder / "cifar-10-python.tar.gz"
    if not archive.is_file():
        return (folder / name).read_bytes()
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"cifar-10-batches-py/{name}")
        if member is None:
            raise ValueError(f"{archive} holds no file {name}")
        return member.read()


DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
}


def load(name: str) -> Dataset:
    """Load a data set by its name; each process reads it once.

    Raises:
        ValueError: if the name is unknown.

    Example:
        >>> load("digits") is load("digits")
        True
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; choose from {', '.join(DATASETS)}")
    return _loaded(name, os.environ.get(DATA_ROOT))


@cache
def _loaded(name: str, data_root: str | None) -> Dataset:
    # ``data_root`` is in the cache's key because the environment variable may change during the process.
    return DATASETS[name]()


def _folder(remote: Remote, data_root: str | Path | None, names: tuple[str, ...]) -> Path:
    data_root = data_root or os.environ.get(DATA_ROOT)
    if data_root is None:
        return fetch(remote)
    candidates = (Path(data_root) / remote.folder, Path(data_root))
    for folder in candidates:
        if all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in names):
            return folder
    raise FileNotFoundError(f"neither {candidates[0]} nor {candidates[1]} holds all of: {', '.join(names)}")


def _as_pixels(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images.astype(np.float32) / np.float32(255))
