import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cofire.papers._formats import read_cifar_batch
from cofire.papers.data import cifar10, digits, mnist

SHARED = Path(os.environ.get("COFIRE_DATA_ROOT", Path(__file__).parents[2].parent / "shared" / "data"))


def test_digits_split_by_seed() -> None:
    a, b, other = digits(seed=1), digits(seed=1), digits(seed=2)
    assert a.train_x.shape == (1437, 1, 8, 8) and len(a.test_x) == 360
    assert torch.equal(a.test_x, b.test_x) and not torch.equal(a.test_x, other.test_x)
    assert a.train_x.min() == 0 and a.train_x.max() == 1


@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="needs the MNIST files (COFIRE_DATA_ROOT)")
def test_real_mnist() -> None:
    data = mnist(data_root=SHARED)
    assert data.train_x.shape == (60_000, 1, 28, 28) and data.test_x.shape == (10_000, 1, 28, 28)
    assert data.train_y[:5].tolist() == [5, 0, 4, 1, 9]


@pytest.mark.skipif(not (SHARED / "cifar-10-batches-py").is_dir(), reason="needs CIFAR-10 (COFIRE_DATA_ROOT)")
def test_real_cifar10() -> None:
    data = cifar10(data_root=SHARED)
    assert data.train_x.shape == (50_000, 3, 32, 32) and data.train_y.bincount().tolist() == [5000] * 10


def idx(path: Path, magic: int, shape: tuple[int, ...], values: bytes) -> None:
    header = magic.to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in shape)
    with gzip.open(path, "wb") as file:
        file.write(header + values)


def small_mnist(folder: Path, *, pixels: int = 4, magic: int = 2051) -> Path:
    folder.mkdir()
    for part in ("train", "t10k"):
        idx(folder / f"{part}-images-idx3-ubyte.gz", magic, (2, 2, 2), bytes(2 * pixels))
        idx(folder / f"{part}-labels-idx1-ubyte.gz", 2049, (2,), bytes([3, 7]))
    return folder


def test_idx_files_are_read_from_the_folder_itself(tmp_path: Path) -> None:
    assert mnist(data_root=small_mnist(tmp_path / "mnist")).train_y.tolist() == [3, 7]


@pytest.mark.parametrize("damage", [{"pixels": 3}, {"magic": 1234}])
def test_damaged_idx_is_refused(tmp_path: Path, damage: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        mnist(data_root=small_mnist(tmp_path / "mnist", **damage))


def test_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train-images"):
        mnist(data_root=tmp_path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/cofire-was-here",)


def test_a_pickle_that_runs_code_is_refused_and_never_run() -> None:
    with pytest.raises(ValueError):
        read_cifar_batch(pickle.dumps({b"data": Evil()}), "batch")
    assert not Path("/tmp/cofire-was-here").exists()


def test_a_pickle_of_arrays_is_read() -> None:
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]}
    images, labels = read_cifar_batch(pickle.dumps(batch), "batch")
    assert np.asarray(images).size == 2 * 3072 and list(labels) == [1, 2]
