import gzip
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from cofire.papers.training.datasets import cifar10, digits, fashion_mnist, load, mnist
from cofire.papers.training.file_formats import read_cifar_batch

SHARED = Path(os.environ.get("COFIRE_DATA_ROOT", Path(__file__).parents[3].parent / "shared" / "data"))


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


def test_fashion_mnist_has_its_own_folder(tmp_path: Path) -> None:
    small_mnist(tmp_path / "fashion-mnist")
    data = fashion_mnist(data_root=tmp_path)
    assert data.name == "fashion-mnist" and data.test_x.shape == (2, 1, 2, 2)


@pytest.mark.parametrize(("labels", "told"), [([1, 2, 3], r"\(2, 2, 2\) and \(3,\)"), ([1, 10], "0 to 9, got 10")])
def test_labels_that_do_not_fit_are_errors(tmp_path: Path, labels: list[int], told: str) -> None:
    folder = small_mnist(tmp_path / "mnist")
    idx(folder / "t10k-labels-idx1-ubyte.gz", 2049, (len(labels),), bytes(labels))
    with pytest.raises(ValueError, match=told):
        mnist(data_root=tmp_path)


def test_the_last_samples_are_held_out(tmp_path: Path) -> None:
    data = mnist(data_root=small_mnist(tmp_path / "mnist"))
    held = data.held_out(1)
    assert held.train_y.tolist() == [3] and held.test_y.tolist() == [7]
    for number in (0, 2):
        with pytest.raises(ValueError, match=f"between 1 and 1, got {number}"):
            data.held_out(number)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="choose from digits, mnist, fashion-mnist, cifar10"):
        load("imagenet")


@pytest.mark.parametrize("damage", [{"pixels": 3}, {"magic": 1234}])
def test_damaged_idx_is_an_error(tmp_path: Path, damage: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        mnist(data_root=small_mnist(tmp_path / "mnist", **damage))


def test_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train-images"):
        mnist(data_root=tmp_path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/cofire-was-here",)


def test_a_pickle_that_would_run_code_is_an_error_and_never_runs() -> None:
    with pytest.raises(ValueError):
        read_cifar_batch(pickle.dumps({b"data": Evil()}), "batch")
    assert not Path("/tmp/cofire-was-here").exists()


def cifar_batch(label: int) -> bytes:
    """Return two pictures, each filled with its label."""
    pixels = np.repeat(np.array([[label], [label + 1]], np.uint8), 3072, axis=1)
    return pickle.dumps({b"data": pixels, b"labels": [label, label + 1]})


def test_a_pickle_of_arrays_is_read() -> None:
    images, labels = read_cifar_batch(cifar_batch(1), "batch")
    assert np.asarray(images).size == 2 * 3072 and list(labels) == [1, 2]


BATCHES = {f"data_batch_{n}": cifar_batch(n) for n in range(1, 6)} | {"test_batch": cifar_batch(0)}


@pytest.mark.parametrize("within", ["", "cifar-10-batches-py"])
def test_cifar10_from_a_folder(tmp_path: Path, within: str) -> None:
    (tmp_path / within).mkdir(exist_ok=True)
    for name, content in BATCHES.items():
        (tmp_path / within / name).write_bytes(content)
    data = cifar10(data_root=tmp_path)
    assert data.train_y.tolist() == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6] and data.test_y.tolist() == [0, 1]
    assert data.train_x.shape == (10, 3, 32, 32) and data.train_x[-1].unique().item() == pytest.approx(6 / 255)


def test_cifar10_from_the_downloaded_archive(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("COFIRE_DATA_ROOT", raising=False)
    monkeypatch.setattr("cofire.papers.training.datasets.fetch", lambda remote: tmp_path)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
        for name, content in BATCHES.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert cifar10().test_y.tolist() == [0, 1]
    assert not (tmp_path / "cifar-10-batches-py").exists()  # the archive is never unpacked


def test_a_missing_cifar10_batch_is_named(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(cifar_batch(1))
    with pytest.raises(FileNotFoundError, match="data_batch_2"):
        cifar10(data_root=tmp_path)
