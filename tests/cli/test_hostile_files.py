"""Hostile and odd files end in one line, quickly and in little memory; nothing in them runs."""

import io
import json
import os
import pickle
import random
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as safetensors_bytes
from torch import nn

from cofire.cli import main
from cofire.nets.loading.inert_pickle import MOST_STEPS

SECONDS, MEBIBYTES = 10, 300  # of the processor: another program may have it meanwhile
MAGIC, STACKED = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x02M\xe9\x03."


def saved(content: object, **options: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def archive(pickled: bytes, method: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    """A file that looks like torch.save's, with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        packed.writestr("x/data.pkl", pickled)
        packed.writestr("x/version", "3")
        for name, content in entries.items():
            packed.writestr(f"x/data/{name.removeprefix('_')}", content)
    return file.getvalue()


def shared_dicts() -> bytes:
    """40 dicts, each holding the next twice: 2^40 paths."""
    inner: dict = {"weight": torch.ones(2, 2)}
    for _ in range(40):
        inner = {"a": inner, "b": inner}
    return saved(inner)


def deep_dicts(levels: int = 100_000) -> bytes:
    return archive(b"\x80\x02" + b"}X\x01\x00\x00\x00a" * levels + b"}" + b"s" * levels + b".")


def circle() -> bytes:
    content: dict = {"a": {}}
    content["a"]["b"] = content
    return saved(content)


def circle_with_weights() -> bytes:
    content: dict = {"model": {"weight": torch.ones(2, 2)}}
    content["model"]["model"] = content
    return saved(content)


def nested_keys() -> bytes:
    """A dict whose key is a tuple with 2^40 paths, to be hashed."""
    return archive(b"\x80\x02}" + b")" + b"2\x86" * 40 + b"K\x01s.")


def bomb(size: int = 6 << 30) -> bytes:
    """An entry that unpacks to 6 GB, from 6 MB."""
    file = io.BytesIO()
    tensor = saved({"weight": torch.ones(4, 4)})
    with zipfile.ZipFile(io.BytesIO(tensor)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            with new.open(entry.filename, "w", force_zip64=True) as target:
                if entry.filename.endswith("data/0"):
                    zeros = bytes(1 << 24)
                    for _ in range(size >> 24):
                        target.write(zeros)
                else:
                    target.write(old.read(entry))
    return file.getvalue()


def lying_bomb() -> bytes:
    """A compressed entry that says it is small."""
    content = bytearray(bomb(1 << 30))
    size = struct.pack("<L", 1 << 30)
    place = content.rfind(size)
    content[place : place + 4] = struct.pack("<L", 64)
    return bytes(content)


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor_header(dtype: str, shape: list[int], *offsets: int) -> dict:
    return {"weight": {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}}


class Program(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def exported() -> bytes:
    file = io.BytesIO()
    torch.export.save(torch.export.export(Program(), (torch.ones(2),)), file)
    return file.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "shared.pt": shared_dicts,
    "deep.pt": deep_dicts,
    "circle.pt": circle,
    "circle_with_weights.pt": circle_with_weights,
    "keys.pt": nested_keys,
    "expanded.pt": lambda: saved({"weight": torch.zeros(1).expand(2**20, 2**20)}),
    "bomb.pt": bomb,
    "lying_bomb.pt": lying_bomb,
    "pickle_bomb.pt": lambda: archive(b"\x80\x02" + bytes(1 << 28), zipfile.ZIP_DEFLATED),
    "steps.pt": lambda: archive(b"\x80\x02" + b"]" * (MOST_STEPS + 10) + b"."),
    "memo.pt": lambda: archive(b"\x80\x02}r\xff\xff\xff\x7f."),
    "long_text.pt": lambda: archive(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"."),
    "frame.pt": lambda: archive(b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"}."),
    "extension.pt": lambda: archive(b"\x80\x02\x82\x01."),
    "magic_alone.pt": lambda: MAGIC,
    "old_garbage.pt": lambda: MAGIC + STACKED + b"\x80\x02}." + b"\x80\x02}." + b"\x80\x02]X\x01\x00\x00\x000a.",
    "lying_header.safetensors": lambda: struct.pack("<Q", 1 << 62) + b"{}",
    "beyond.safetensors": lambda: safetensors(tensor_header("F32", [1000, 1000], 0, 4000000), bytes(16)),
    "overlap.safetensors": lambda: safetensors(tensor_header("F32", [1 << 40, 1 << 40], 0, 16), bytes(16)),
    "float4.safetensors": lambda: safetensors(tensor_header("F4", [4, 8], 0, 16), bytes(16)),
    "float6.safetensors": lambda: safetensors(tensor_header("F6_E2M3", [4, 4], 0, 12), bytes(12)),
    "scales.safetensors": lambda: safetensors(tensor_header("F8_E8M0", [4, 4], 0, 16), bytes(16)),
    "float8.safetensors": lambda: safetensors(tensor_header("F8_E4M3", [4, 4], 0, 16), bytes(range(16))),
    "no_header.safetensors": lambda: safetensors([1, 2]),
    "deep.safetensors": lambda: struct.pack("<Q", 200_000) + b"[" * 200_000,
    "exported.pt": exported,
    "text.pt": lambda: b"just some text\n" * 100,
    "zeros.pt": lambda: bytes(10_000),
    "empty_archive.pt": lambda: b"PK\5\6" + bytes(18),
    "payload.pt": lambda: archive(pickle.dumps({"a": os.system}, protocol=2)),
}

MEASURED = """
import resource, sys, time
from cofire.nets.loading.checkpoint_files import read_checkpoint
from cofire.nets.redundancy import weight_redundancy_report
for name in sys.argv[1:]:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        weight_redundancy_report(read_checkpoint(name).weights)
        said = "read"
    except ValueError as error:
        said = str(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{name}\\t{time.process_time() - start:.2f}\\t{grown >> 10}\\t{said!r}")
"""


def run(arguments: list[str], monkeypatch, capsys) -> tuple[int, str]:
    """The exit status and what stood on stderr, less what tells of progress."""
    monkeypatch.setattr("sys.argv", ["cofire", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.endswith(" …")]
    return int(left.value.code or 0), "\n".join(lines)


def assert_one_line(code: int, said: str) -> None:
    """Read without a word on stderr, or refused in one line."""
    assert code in (0, 2), said
    assert (code == 0 and not said) or (said.startswith("cofire: ") and "\n" not in said), said
    assert len(said) < 1000 and "Errno" not in said


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_files_end_soon_and_in_little_memory(tmp_path, monkeypatch, capsys):
    for name, make in HOSTILE.items():
        (tmp_path / name).write_bytes(make())
    files = [str(tmp_path / name) for name in HOSTILE]
    done = subprocess.run([sys.executable, "-c", MEASURED, *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(found) == len(HOSTILE)
    for name, seconds, grown, said in found:
        assert float(seconds) < SECONDS, (name, seconds)
        assert int(grown) < Path(name).stat().st_size / 2**20 + MEBIBYTES, (name, grown)
        assert "\\n" not in said, (name, said)
    for file in files:
        assert_one_line(*run(["inspect", file], monkeypatch, capsys))


SAYS = {
    "shared.pt": "several in it",
    "circle.pt": "no tensors under its keys",
    "bomb.pt": "unpack to 6,442,451,",
    "pickle_bomb.pt": "unpack to|has a pickle of",
    "steps.pt": "more than 2,000,000 steps",
    "expanded.pt": "expanded to 1,099,511,627,776 numbers",
    "exported.pt": "is a program of torch.export",
    "float4.safetensors": "weight",
    "payload.pt": "no tensors under its keys",
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in SAYS if name != "bomb.pt"])
def test_the_line_says_what_is_wrong(name, tmp_path, monkeypatch, capsys):
    import re

    (tmp_path / name).write_bytes(HOSTILE[name]())
    for arguments in (["inspect", str(tmp_path / name)], ["compare", str(tmp_path / name), str(tmp_path / name)]):
        code, said = run(arguments, monkeypatch, capsys)
        assert code == 2 and re.search(SAYS[name], said), said


def test_pipes_sockets_devices_and_folders(tmp_path, monkeypatch, capsys):
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "device.pt").symlink_to("/dev/zero")
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    (tmp_path / "gone.pt").symlink_to(tmp_path / "nothing")
    listening = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    listening.bind("socket.pt")
    try:
        for name in ("pipe", "device", "folder", "loop", "gone", "socket"):
            code, said = run(["inspect", f"{name}.pt"], monkeypatch, capsys)
            assert code == 2, (name, said)
            assert_one_line(code, said)
    finally:
        listening.close()


def good_files() -> dict[str, bytes]:
    """One of each format."""
    state = {"fc.weight": torch.randn(6, 5), "fc.bias": torch.randn(6), "out.weight": torch.randn(3, 6)}
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(state))) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return {
        "archive.pt": saved({"model": state, "optimizer": {"state": {0: torch.ones(2)}}}),
        "old.pth": saved(state, _use_new_zipfile_serialization=False),
        "packed.ckpt": packed.getvalue(),
        "plain.safetensors": safetensors_bytes(state),
    }


def mutated(content: bytes, generator: random.Random) -> bytes:
    """Damage a file: flip, cut, repeat, insert, or overwrite by extreme numbers."""
    damaged = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(max(1, len(damaged)))
        kind = generator.randrange(6)
        if kind == 0:
            damaged[place] ^= 1 << generator.randrange(8)
        elif kind == 1:
            del damaged[place : place + generator.randint(1, 40)]
        elif kind == 2:
            damaged[place:place] = damaged[place : place + generator.randint(1, 40)]
        elif kind == 3:
            damaged[place:place] = generator.randbytes(generator.randint(1, 20))
        elif kind == 4:
            damaged[place : place + 4] = generator.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"])
        else:
            damaged[place : place + 8] = generator.choice([b"\xff" * 8, bytes(8), b"\0\0\0\0\0\0\0\x40"])
    return bytes(damaged) or b"\0"


def assert_mutations_end_in_a_line(seed: int, number: int, folder: Path, monkeypatch, capsys) -> None:
    generator = random.Random(seed)
    for index in range(number):
        for name, content in good_files().items():
            path = folder / name
            path.write_bytes(mutated(content, generator))
            code, said = run(["inspect", str(path)], monkeypatch, capsys)
            assert code in (0, 2), (seed, index, name, said)
            assert_one_line(code, said)


def test_some_damaged_files_end_in_one_line(tmp_path, monkeypatch, capsys):
    assert_mutations_end_in_a_line(1, 12, tmp_path, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_damaged_files_end_in_one_line(seed, tmp_path, monkeypatch, capsys):
    assert_mutations_end_in_a_line(seed, 40, tmp_path, monkeypatch, capsys)


def test_it_finds_a_traceback_that_is_planted(tmp_path, monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise KeyError("a mistake of our own")

    monkeypatch.setattr("cofire.nets.loading.checkpoint_files.find_state_dict", fail)
    with pytest.raises(KeyError, match="of our own"):
        assert_mutations_end_in_a_line(1, 12, tmp_path, monkeypatch, capsys)


def pickles_of(generator: random.Random) -> bytes:
    """Opcodes at random, in a file that is well-formed around them."""
    opcodes = [bytes([code]) for code in b"()]}NR.s0123dabteoiu\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94bQ"]
    opcodes += [b"K\x01", b"X\x01\x00\x00\x00a", b"q\x00", b"h\x00", b"ctorch._utils\n_rebuild_tensor_v2\n"]
    opcodes += [
        b"cbuiltins\nset\n",
        b"ccollections\nOrderedDict\n",
        b"ctorch\nFloatStorage\n",
        b"X\x07\x00\x00\x00storage",
    ]
    return b"\x80\x02" + b"".join(generator.choices(opcodes, k=generator.randint(1, 60))) + b"."


@pytest.mark.slow
def test_random_programs_end_in_one_line(tmp_path, monkeypatch, capsys):
    generator = random.Random(7)
    for _ in range(500):
        (tmp_path / "random.pt").write_bytes(archive(pickles_of(generator), _0=bytes(64)))
        assert_one_line(*run(["inspect", str(tmp_path / "random.pt")], monkeypatch, capsys))
