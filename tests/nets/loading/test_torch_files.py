"""What torch.save wrote is read as torch.load reads it, bit for bit, or refused."""

import argparse
import random
import struct
import sys
import zipfile
import zlib
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.loading.checkpoint_files import read_checkpoint

DTYPES = [
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.complex64, torch.complex128),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8),
]
NEW_DTYPES = [
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu),
    *(torch.uint16, torch.uint32, torch.uint64),
]
"""Types whose storages have no name of their own; torch can't read them from the old format."""


def bits(tensor: Tensor) -> Tensor:
    flat = tensor.detach().flatten().clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8) if flat.numel() else flat


def assert_same(found: Tensor, wanted: Tensor) -> None:
    assert (found.dtype, found.shape, found.stride()) == (wanted.dtype, wanted.shape, wanted.stride())
    assert bits(found).equal(bits(wanted))


def assert_read_as_torch_does(path: Path) -> None:
    wanted = torch.load(path, weights_only=True)
    found = read_checkpoint(path)
    assert not found.left_out
    assert found.weights.keys() == {name for name, value in wanted.items() if isinstance(value, Tensor)}
    for name, tensor in found.weights.items():
        assert_same(tensor, wanted[name])


def numbers(dtype: torch.dtype, *shape: int) -> Tensor:
    """Random bytes, so that every pattern is met, in numbers of a type."""
    if dtype is torch.bool:
        return torch.rand(shape) > 0.5
    count = torch.Size(shape).numel() * dtype.itemsize
    return torch.randint(0, 256, (count,), dtype=torch.uint8).view(dtype).view(shape)


@pytest.mark.parametrize("archive", [True, False])
def test_every_type_of_number(archive, tmp_path):
    state = {str(dtype): numbers(dtype, 5, 7) for dtype in [*DTYPES, *(NEW_DTYPES if archive else [])]}
    torch.save(state, tmp_path / "all.pt", _use_new_zipfile_serialization=archive)
    assert_read_as_torch_does(tmp_path / "all.pt")


@pytest.mark.parametrize("archive", [True, False])
def test_views_of_shared_storages(archive, tmp_path):
    base = torch.randn(20, 30)
    state = {
        "whole": base,
        "rows": base[3:17:2],
        "columns": base[:, 4:9],
        "turned": base.t(),
        "diagonal": base.diagonal(),
        "number": base[2, 3],
        "expanded": torch.ones(3, 1).expand(3, 5),
        "empty": base[:0],
        "parameter": nn.Parameter(torch.randn(3, 4)),
        "frozen": nn.Parameter(torch.randn(3, 4), requires_grad=False),
    }
    torch.save(state, tmp_path / "views.pt", _use_new_zipfile_serialization=archive)
    assert_read_as_torch_does(tmp_path / "views.pt")
    found = read_checkpoint(tmp_path / "views.pt").weights
    assert found["whole"].data_ptr() == found["turned"].data_ptr()


def test_random_views(tmp_path):
    generator = random.Random(0)
    state = {}
    for index in range(200):
        size = tuple(generator.randint(0, 4) for _ in range(generator.randint(0, 4)))
        stride = tuple(generator.randint(0, 9) for _ in size)
        state[str(index)] = torch.randn(200).as_strided(size, stride, generator.randint(0, 20))
    torch.save(state, tmp_path / "views.pt")
    assert_read_as_torch_does(tmp_path / "views.pt")


def test_other_containers_around_the_weights(tmp_path):
    state = OrderedDict(weight=torch.randn(2, 3))
    state._metadata = OrderedDict(version=1)  # type: ignore[attr-defined]  # as nn.Module.state_dict() adds it
    content = {
        "model": state,
        "counts": Counter("abc"),
        "lists": defaultdict(list, a=[1, (2.5, None)], b=[{1, 2}, b"x", 2**80, -1]),
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "complex": 1 + 2j,
    }
    for protocol in (2, 3, 4, 5):
        torch.save(content, tmp_path / "all.pt", pickle_protocol=protocol)
        found = read_checkpoint(tmp_path / "all.pt")
        assert found.notes == ("the weights were found under 'model'",)
        assert_same(found.weights["weight"], state["weight"])


def test_a_namespace_is_read_as_a_blank(tmp_path):
    content = {"args": argparse.Namespace(rate=0.1), "state_dict": {"weight": torch.ones(2, 2)}}
    torch.save(content, tmp_path / "run.ckpt")
    found = read_checkpoint(tmp_path / "run.ckpt")
    assert found.weights["weight"].eq(1).all()
    assert found.notes[-1] == "the file names argparse.Namespace, which was neither imported nor called"


def test_nothing_that_a_file_names_is_imported(tmp_path, monkeypatch):
    (tmp_path / "planted_module.py").write_text("class Options:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import planted_module  # type: ignore[import-not-found]  # written just now

    torch.save({"options": planted_module.Options(), "weight": torch.ones(2, 2)}, tmp_path / "run.pt")
    monkeypatch.delitem(sys.modules, "planted_module")
    assert list(read_checkpoint(tmp_path / "run.pt").weights) == ["weight"]
    assert "planted_module" not in sys.modules


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_tensors_are_left_out_with_the_reason(tmp_path):
    state = {
        "weight": torch.ones(2, 2),
        "sparse": torch.eye(3).to_sparse(),
        "rows": torch.eye(3).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.ones(2, 2), 1.0, 0, torch.qint8),
        "channels": torch.quantize_per_channel(torch.ones(2, 2), torch.ones(2), torch.zeros(2), 0, torch.qint8),
        "meta": torch.ones(2, 2, device="meta"),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "expanded": torch.zeros(1).expand(2**20, 2**20),
        "negated": torch.ones(2, 2, dtype=torch.complex64).conj().imag,
    }
    torch.save(state, tmp_path / "odd.pt")
    found = read_checkpoint(tmp_path / "odd.pt")
    assert list(found.weights) == ["weight"]
    assert found.left_out == {
        "sparse": "sparse",
        "rows": "sparse",
        "quantized": "quantized",
        "channels": "quantized",
        "meta": "without numbers, as it was on the meta device",
        "nested": "nested: its parts differ in shape",
        "expanded": "expanded to 1,099,511,627,776 numbers, of which 1 are stored",
        "negated": "stored with a pending negation or conjugation",
    }


def test_a_tensor_of_another_class_is_left_out(tmp_path):
    class Own(Tensor):
        pass

    Own.__module__, Own.__qualname__ = __name__, "Own"
    globals()["Own"] = Own
    try:
        torch.save({"weight": torch.ones(2, 2), "own": torch.ones(2).as_subclass(Own)}, tmp_path / "own.pt")
    finally:
        del globals()["Own"]
    assert read_checkpoint(tmp_path / "own.pt").left_out == {"own": f"stored as {__name__}.Own"}


def repacked(path: Path, target: Path, method: int = zipfile.ZIP_STORED, **changed: bytes | None) -> Path:
    """Write an archive's entries anew, some with other content or none."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", method) as new:
        for entry in old.infolist():
            content = changed.get(Path(entry.filename).name.replace(".", "_"), old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return target


def test_compressed_entries_are_unpacked(tmp_path):
    state = {"a": torch.randn(30, 40), "b": torch.zeros(200, 300)}
    torch.save(state, tmp_path / "plain.pt")
    path = repacked(tmp_path / "plain.pt", tmp_path / "small.pt", zipfile.ZIP_DEFLATED)
    for name, tensor in read_checkpoint(path).weights.items():
        assert_same(tensor, state[name])


def test_entries_at_odd_places_are_read(tmp_path):
    state = {"a": torch.randn(30, 40), "b": torch.randn(4, 5, dtype=torch.float64)}
    torch.save(state, tmp_path / "plain.pt")
    for name, tensor in read_checkpoint(repacked(tmp_path / "plain.pt", tmp_path / "moved.pt")).weights.items():
        assert_same(tensor, state[name])
        assert tensor.data_ptr() % tensor.dtype.itemsize == 0


def test_the_other_byte_order(tmp_path):
    state = {str(dtype): numbers(dtype, 3, 4) for dtype in DTYPES}
    torch.save(state, tmp_path / "plain.pt")
    path = repacked(tmp_path / "plain.pt", tmp_path / "turned.pt", byteorder=b"big")
    wanted = torch.load(path, weights_only=True)
    for name, tensor in read_checkpoint(path).weights.items():
        assert_same(tensor, wanted[name])
        assert tensor.dtype.itemsize == 1 or not bits(tensor).equal(bits(state[name]))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_is_refused(method, tmp_path):
    torch.save({"weight": torch.randn(100, 100)}, tmp_path / "plain.pt")
    path = repacked(tmp_path / "plain.pt", tmp_path / "packed.pt", method)
    with zipfile.ZipFile(path) as archive:
        entry = next(one for one in archive.infolist() if one.filename.endswith("data/0"))
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged"):
        read_checkpoint(path)


def test_a_file_without_checksums_is_read_and_said_to_be(tmp_path):
    torch.save({"weight": torch.ones(2, 2)}, tmp_path / "plain.pt")
    content = (tmp_path / "plain.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "plain.pt") as archive:
        for entry in archive.infolist():  # as torch writes it with compute_crc32=False
            content = content.replace(struct.pack("<L", entry.CRC), bytes(4))
    (tmp_path / "plain.pt").write_bytes(content)
    found = read_checkpoint(tmp_path / "plain.pt")
    assert found.notes == ("the file holds no checksums, so that damage would not be seen",)
    assert found.weights["weight"].eq(1).all()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"0": None}, "data/0 is missing"),
        ({"0": b"1234"}, "has 4 bytes instead of 16"),
        ({"data_pkl": None}, "data.pkl is missing"),
        ({"byteorder": b"middle"}, "unknown byte order"),
        ({"data_pkl": b"\x80\x02}q\x00."}, "no tensors under its keys"),
        ({"data_pkl": b"\x80\x02}q\x00"}, "its pickle has no end|its pickle is broken"),
        ({"data_pkl": b"garbage"}, "its pickle is broken"),
    ],
)
def test_damage_is_described(changed, says, tmp_path):
    torch.save({"weight": torch.ones(2, 2)}, tmp_path / "plain.pt")
    with pytest.raises(ValueError, match=says):
        read_checkpoint(repacked(tmp_path / "plain.pt", tmp_path / "changed.pt", **changed))


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as archive:
        pickled = archive.read("plain/data.pkl")
    longer = pickled.replace(b"K\x02K\x03\x86", b"K\x02K\x09\x86")
    assert longer != pickled
    with pytest.raises(ValueError, match=r"a tensor of shape \(2, 9\) reaches beyond the numbers that are stored"):
        read_checkpoint(repacked(tmp_path / "plain.pt", tmp_path / "longer.pt", data_pkl=longer))


def test_what_is_written_into_a_tensor_does_not_reach_the_file(tmp_path):
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "plain.pt")
    before = zlib.crc32((tmp_path / "plain.pt").read_bytes())
    read_checkpoint(tmp_path / "plain.pt").weights["weight"].zero_()
    assert zlib.crc32((tmp_path / "plain.pt").read_bytes()) == before


@pytest.mark.parametrize("wrong", [b"ustar", b"pickle"])
def test_other_old_files_are_named(wrong, tmp_path):
    content = bytes(257) + wrong + bytes(300) if wrong == b"ustar" else b"\x80\x02]q\x00."
    (tmp_path / "old.pt").write_bytes(content)
    with pytest.raises(
        ValueError, match="is a tar archive" if wrong == b"ustar" else "is a pickle that torch.save did not write"
    ):
        read_checkpoint(tmp_path / "old.pt")
