"""Open what ``torch.save`` wrote, zip archives and the files from before torch 1.6, and read nothing but numbers."""

import mmap
import sys
import zlib
from abc import ABC, abstractmethod
from io import BytesIO
from pathlib import Path
from struct import unpack_from
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo, is_zipfile

import torch
from torch import Tensor

from .inert_pickle import DamagedPickle, Global, read_pickle
from .torch_values import CALLS, QUIET, Storage, storage_of

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LOCAL_HEADER = 30
MOST_PICKLE = 1 << 26
MOST_UNPACKED = 1 << 28
"""Bytes that compressed entries may take beyond the size of the file itself."""
MOST_INDEX = 1 << 24


class RefusedFile(ValueError):
    """A file that can't be read; the message is a clause that follows its name."""


class TorchFile(ABC):
    """A file that ``torch.save`` wrote; its tensors are mapped from it where they are not compressed.

    Attributes:
        content: the value that was saved, in which tensors are :class:`StoredTensor`.
        unknown: the classes and functions it calls that are not torch's own, none of which was built or called.
        notes: sentences on how it was read.
    """

    content: Any
    unknown: list[str]
    notes: tuple[str, ...] = ()

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self._byte_order = "little"
        self._read: dict[str, tuple[Storage, Tensor]] = {}

    def read(self, storage: Storage) -> Tensor:
        """Return a storage's bytes, the same memory each time.

        Raises:
            DamagedPickle: if they are damaged or missing.
        """
        if storage.key not in self._read:
            flat = torch.frombuffer(self._content(storage), dtype=torch.uint8)
            swapped = self._byte_order != sys.byteorder
            self._read[storage.key] = storage, _swapped(flat, storage.dtype) if swapped else _aligned(flat)
        known, flat = self._read[storage.key]
        if known != storage:
            raise DamagedPickle(f"the numbers of storage {storage.key} have two types or sizes")
        return flat

    @abstractmethod
    def _content(self, storage: Storage) -> bytearray | memoryview:
        """Return the bytes of a storage."""

    def _take(self, pickled: tuple[Any, list[str]]) -> None:
        self.content, unknown = pickled
        self.unknown = [path for path in unknown if path not in QUIET]


def open_torch_file(path: Path) -> TorchFile:
    """Open a file that ``torch.save`` wrote.

    Raises:
        RefusedFile: if it is damaged, or something else.
    """
    with path.open("rb") as file:
        # Private, so that nothing that is done to a tensor reaches the file.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    try:
        return ZipTorchFile(path, mapped) if is_zipfile(path) else LegacyTorchFile(mapped)
    except (DamagedPickle, BadZipFile, NotImplementedError) as error:
        raise RefusedFile(f"is damaged, or was not written by torch.save: {_one_line(error)}") from error


class ZipTorchFile(TorchFile):
    """A zip archive, with a pickle and an entry for each storage."""

    def __init__(self, path: Path, mapped: mmap.mmap) -> None:
        _check_index(mapped)
        super().__init__(mapped)
        self._archive = ZipFile(path)  # stays open, as long as tensors may be read from it
        self._entries = _entries(self._archive)
        self._has_checksums = any(entry.CRC for entry in self._entries.values())
        unpacked = sum(entry.file_size for entry in self._entries.values() if entry.compress_type != ZIP_STORED)
        if unpacked > len(mapped) + MOST_UNPACKED:
            raise RefusedFile(f"has entries that unpack to {unpacked:,} bytes; unpack it, and save it again")
        pickled = self._entry("data.pkl")
        if pickled.file_size > MOST_PICKLE:
            raise RefusedFile(f"has a pickle of {pickled.file_size:,} bytes, far more than weights need")
        order = bytes(self._bytes(self._entry("byteorder"))) if "byteorder" in self._entries else b"little"
        if order not in (b"little", b"big"):
            raise RefusedFile(f"has numbers in an unknown byte order, {order[:20]!r}")
        self._byte_order = order.decode()
        self._take(read_pickle(BytesIO(self._bytes(pickled)), CALLS, storage_of))
        if not self._has_checksums:
            self.notes = ("the file holds no checksums, so that damage would not be seen",)

    def _content(self, storage: Storage) -> bytearray | memoryview:
        entry = self._entry(f"data/{storage.key}")
        if entry.file_size != storage.n_bytes:
            raise DamagedPickle(f"{entry.filename} has {entry.file_size:,} bytes instead of {storage.n_bytes:,}")
        return self._bytes(entry)

    def _entry(self, name: str) -> ZipInfo:
        if name not in self._entries:
            raise DamagedPickle(f"{name} is missing in it")
        return self._entries[name]

    def _bytes(self, entry: ZipInfo) -> bytearray | memoryview:
        """Return an entry's bytes, checked; mapped if they are stored as they are."""
        if entry.compress_type == ZIP_DEFLATED:
            try:
                with self._archive.open(entry) as file:
                    # Without a limit it would unpack whatever there is. It checks the sum itself.
                    content = bytearray(file.read(entry.file_size))
            except (BadZipFile, EOFError, zlib.error) as error:
                raise DamagedPickle(f"{entry.filename} can't be unpacked: {_one_line(error)}") from error
            if len(content) != entry.file_size:
                raise DamagedPickle(f"{entry.filename} is shorter than it says")
            return content
        content = memoryview(self._mapped)[(start := self._start(entry)) : start + entry.file_size]
        if len(content) != entry.file_size or entry.compress_size != entry.file_size:
            raise DamagedPickle(f"{entry.filename} is cut off")
        if self._has_checksums and zlib.crc32(content) != entry.CRC:
            raise DamagedPickle(f"the checksum of {entry.filename} is wrong")
        return content

    def _start(self, entry: ZipInfo) -> int:
        """Return where an entry's bytes begin: behind its own header, whose length the archive's index does not say."""
        at, name = entry.header_offset, entry.orig_filename.encode()
        header = self._mapped[at : at + LOCAL_HEADER]
        if len(header) < LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise DamagedPickle(f"{entry.filename} has no header")
        length, extra = unpack_from("<HH", header, 26)
        if self._mapped[at + LOCAL_HEADER : at + LOCAL_HEADER + length] != name:
            raise DamagedPickle(f"{entry.filename} has a header of another name")
        return at + LOCAL_HEADER + length + extra


class LegacyTorchFile(TorchFile):
    """A file from before torch 1.6: five pickles, then the length and the bytes of each storage."""

    def __init__(self, mapped: mmap.mmap) -> None:
        if mapped[257:262] == b"ustar":
            raise RefusedFile("is a tar archive, as torch before 0.2 wrote it; load it with torch, and save it again")
        if mapped[:1] != b"\x80":
            raise RefusedFile("is damaged, or was not written by torch.save")
        super().__init__(mapped)  # such files are written in little-endian order on every machine
        self._storages: dict[str, Storage] = {}
        if self._plain() != LEGACY_MAGIC:
            raise RefusedFile(
                "is a pickle that torch.save did not write, refused and not executed; save model.state_dict() with it"
            )
        for _ in ("the version of the format", "the sizes of numbers on the machine that wrote it"):
            self._plain()
        self._take(read_pickle(mapped, CALLS, self._storage))
        keys = self._plain()
        self._starts = self._places(keys if isinstance(keys, list) else [])

    def _content(self, storage: Storage) -> memoryview:
        if storage.key not in self._starts:
            raise DamagedPickle(f"the numbers of storage {storage.key} are missing in it")
        start = self._starts[storage.key]
        return memoryview(self._mapped)[start : start + storage.n_bytes]

    def _plain(self) -> Any:
        return read_pickle(self._mapped, {}, lambda key: None)[0]

    def _storage(self, saved_id: Any) -> Storage | Global:
        found = storage_of(saved_id)
        if isinstance(found, Storage):
            self._storages.setdefault(found.key, found)
        return found

    def _places(self, keys: list[Any]) -> dict[str, int]:
        starts: dict[str, int] = {}
        at = self._mapped.tell()
        for key in map(str, keys):
            storage = self._storages.get(key)
            if storage is None or at + 8 > len(self._mapped):
                raise DamagedPickle("its list of storages does not fit its tensors")
            (number,) = unpack_from("<q", self._mapped, at)
            starts[key], at = at + 8, at + 8 + storage.n_bytes
            if number * storage.dtype.itemsize != storage.n_bytes or at > len(self._mapped):
                raise DamagedPickle(f"the numbers of {key} are cut off")
        return starts


def _check_index(mapped: mmap.mmap) -> None:
    """Refuse an archive whose index alone would take long to read, by the size that the end of the file states."""
    start = max(0, len(mapped) - (1 << 17))
    end = mapped.rfind(b"PK\5\6", start)
    size = unpack_from("<L", mapped, end + 12)[0] if 0 <= end <= len(mapped) - 22 else 0
    if size == 0xFFFFFFFF:
        end = mapped.rfind(b"PK\6\6", start)
        size = unpack_from("<Q", mapped, end + 40)[0] if 0 <= end <= len(mapped) - 56 else 0
    if size > MOST_INDEX:
        raise RefusedFile(f"has an index of {size:,} bytes, far more than weights need")


def _entries(archive: ZipFile) -> dict[str, ZipInfo]:
    """Return the entries of torch's archive, by their names without the folder that they all lie in."""
    found = archive.infolist()
    names = {entry.filename.partition("/")[2]: entry for entry in found}
    if len(names) != len(found):
        raise RefusedFile("has entries of the same name")
    if any(name.startswith("code/") for name in names) or "constants.pkl" in names:
        raise RefusedFile("is a TorchScript archive; save the state_dict() of its module instead")
    if "archive_format" in names or any("exported_program" in entry.filename for entry in found):
        raise RefusedFile("is a program of torch.export; save the state_dict of the program instead")
    if "data.pkl" not in names:
        raise RefusedFile("is a zip archive, but not one that torch.save wrote: data.pkl is missing in it")
    if any(entry.flag_bits & 1 or entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for entry in found):
        raise RefusedFile("is encrypted, or compressed by a method that torch does not know")
    return names


def _aligned(flat: Tensor) -> Tensor:
    """Return bytes at an address that numbers of every type may have; zip tools other than torch's don't care."""
    return flat if flat.data_ptr() % 16 == 0 else flat.clone()


def _swapped(flat: Tensor, dtype: torch.dtype) -> Tensor:
    """Return bytes in the other order, number by number; a complex number is two."""
    width = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
    return flat.view(-1, width).flip(1).view(-1)


def _one_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
