import numpy as np
import pytest
import torch

from cofire.nets.loading.batches import FirstSamples
from cofire.nets.loading.inputs.npy_files import Arrays


def test_files_are_read_in_order_and_again(tmp_path):
    np.save(tmp_path / "b.npy", np.full((3, 2), 2.0))
    np.save(tmp_path / "a.npy", np.full((600, 2), 1.0))
    arrays = Arrays(tmp_path)
    assert arrays.n_samples == 603
    for _ in range(2):
        batches = list(arrays)
        assert [len(batch) for batch in batches] == [512, 88, 3]
        assert [batch.unique().item() for batch in batches] == [1.0, 1.0, 2.0]
        assert all(batch.dtype is torch.float32 for batch in batches)


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("float64", torch.float32), ("float16", torch.float32), (">f4", torch.float32), ("bool", torch.float32)]
    + [(kind, torch.int64) for kind in ("uint8", "int32", ">i8", "uint64")],
)
def test_types_that_models_take(dtype, wanted, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 2), dtype))
    (batch,) = Arrays(tmp_path / "x.npy")
    assert batch.dtype is wanted and batch.eq(1).all()


def test_pickled_objects_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"not a \.npy array of numbers; write it with numpy\.save"):
        Arrays(tmp_path)


def test_labels_beside_inputs_are_noticed(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 8)))
    np.save(tmp_path / "y.npy", np.zeros(4))
    with pytest.raises(ValueError, match=r"y\.npy has samples of shape \(\), but x\.npy of \(8,\); keep only inputs"):
        Arrays(tmp_path)


@pytest.mark.parametrize("content", ["empty", "cut", "text", "complex", "scalar", "archive", "no samples"])
def test_what_is_no_array_of_samples(content, tmp_path):
    path = tmp_path / "x.npy"
    if content == "archive":
        np.savez(tmp_path / "x.npz", a=np.ones(3))
        (tmp_path / "x.npz").rename(path)
    else:
        arrays = {"complex": np.ones(3, complex), "scalar": np.float64(1), "no samples": np.empty((0, 3))}
        np.save(path, arrays.get(content, np.ones((40, 4))))
    written = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": written[:-8], "text": b"1,2,3"}.get(content, written))
    with pytest.raises(ValueError, match=r"x\.npy|holds no samples"):
        Arrays(path)


def test_places_without_arrays(tmp_path):
    with pytest.raises(ValueError, match=r"holds no \.npy file"):
        Arrays(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        Arrays(tmp_path / "nowhere")


@pytest.mark.parametrize(("n_samples", "lengths"), [(3, [3]), (4, [4]), (6, [4, 2]), (100, [4, 4])])
def test_the_first_samples(n_samples, lengths):
    x, y = torch.zeros(8, 2), torch.zeros(8)
    kinds = {
        "tensors": list(x.split(4)),
        "pairs": list(zip(x.split(4), y.split(4), strict=True)),
        "named": [{"x": a, "y": b, "flag": True} for a, b in zip(x.split(4), y.split(4), strict=True)],
    }
    for batches in kinds.values():
        first = FirstSamples(batches, n_samples=n_samples)
        for _ in range(2):
            found = [b["y"] if isinstance(b, dict) else b[-1] if isinstance(b, list | tuple) else b for b in first]
            assert [len(one) for one in found] == lengths


def test_a_batch_without_tensors_is_described():
    with pytest.raises(ValueError, match="got str"):
        list(FirstSamples(["text"], n_samples=3))
