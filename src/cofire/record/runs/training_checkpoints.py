"""Checkpoints that survive a crash: written whole, named by their checksum, the last two kept."""

import io
import re
import warnings
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...stats._base.whole_files import made_folder, replaced, sweep, sync
from ...stats._base.wording import with_article
from .table_format import digest

KEEP = 2
_NAME = re.compile(r"step-(\d{12,})-([0-9a-f]{32})\.pt")
_NUMBERS = (type(None), bool, int, float, complex, str, bytes, bytearray)
_PLAIN = (*_NUMBERS, torch.Tensor, torch.Size, torch.device, torch.dtype)


class Found(NamedTuple):
    """A checkpoint that was read.

    Attributes:
        step: of the loop.
        states: of its parts, by name.
        recordings: how many recordings the run had up to that step; 0 if unknown.
    """

    step: int
    states: dict[str, Any]
    recordings: int


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        directory: the folder; created by the first save.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def exist(self) -> bool:
        """Whether there is any, intact or damaged."""
        return bool(self._newest_first())

    def save(self, step: int, states: Mapping[str, Any], *, recordings: int = 0) -> None:
        """Write the states of a step, then remove all but the last two checkpoints.

        Raises:
            ValueError: if a state holds something that cannot be read back safely.
            OSError: if it cannot be written; the earlier checkpoints are kept.
        """
        check_plain(states, "checkpoint")
        buffer = io.BytesIO()
        torch.save({"step": step, "states": dict(states), "recordings": recordings}, buffer)
        made_folder(self.directory)
        with replaced(self.directory / f"step-{step:012d}-{digest(buffer.getbuffer())}.pt") as file:
            file.write(buffer.getbuffer())
        for _, old in self._newest_first()[KEEP:]:
            old.unlink(missing_ok=True)

    def load(self) -> Found | None:
        """Return the newest intact checkpoint; None if there is none.

        Raises:
            ValueError: if it is intact, but none of cofire's.

        Warns:
            RuntimeWarning: for each newer one that is damaged.
        """
        for step, path in self._newest_first():
            if (content := self._intact(path)) is not None:
                return _read(step, path, content)
            message = f"checkpoint {path} is damaged; falling back to the one before it"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None

    def at(self, step: int) -> Found:
        """Return the intact checkpoint of a step.

        Raises:
            ValueError: if there is none.
        """
        for found, path in self._newest_first():
            if found == step and (content := self._intact(path)) is not None:
                return _read(step, path, content)
        raise ValueError(
            f"{self.directory} has no intact checkpoint of step {step}, which the first process has loaded; all "
            "processes need the same directory"
        )

    @staticmethod
    def _intact(path: Path) -> bytes | None:
        content = path.read_bytes()
        return content if digest(content) == _NAME.fullmatch(path.name)[2] else None  # pyright: ignore[reportOptionalSubscript] - listed by it

    def drop_after(self, step: int) -> None:
        """Remove the checkpoints of later steps: damaged ones, after falling back to an earlier one."""
        for found, path in self._newest_first():
            if found > step:
                path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove temporary files left by a killed process."""
        if self.directory.is_dir():
            sweep(self.directory)
            sync(self.directory)

    def _newest_first(self) -> list[tuple[int, Path]]:
        names = [(_NAME.fullmatch(path.name), path) for path in self.directory.glob("step-*.pt")]
        found = [(int(name[1]), path) for name, path in names if name]
        return sorted(found, key=lambda item: (item[0], item[1].stat().st_mtime_ns), reverse=True)


def _read(step: int, path: Path, content: bytes) -> Found:
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return Found(step, dict(found["states"]), int(found.get("recordings", 0)))
    except Exception as error:  # torch raises whatever its parts raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path} is not a checkpoint that cofire wrote ({reason}); remove it") from error


def check_plain(value: object, where: str) -> None:
    """Refuse what ``torch.load(weights_only=True)`` would refuse to read back.

    Raises:
        ValueError: naming the place and the type.
    """
    if isinstance(value, dict) and type(value) in (dict, OrderedDict, Counter):
        for key, inner in value.items():
            check_plain(key, f"a key of {where}")
            check_plain(inner, f"{where}[{key!r}]")
    elif type(value) in (list, tuple, set):
        for index, inner in enumerate(value):  # pyright: ignore[reportArgumentType] - one of these
            check_plain(inner, f"{where}[{index}]")
    elif hasattr(value, "full_tensor"):
        raise ValueError(
            f"{where} is sharded over processes, and a checkpoint holds whole tensors; give a part whose state_dict "
            "gathers them, as torch.distributed.checkpoint.state_dict does with full_state_dict=True"
        )
    elif isinstance(value, bytes) and not value:
        raise ValueError(f"{where} is empty bytes, which a checkpoint cannot read back safely; use None or a string")
    elif type(value) not in _PLAIN and not isinstance(value, torch.Tensor):
        raise ValueError(
            f"{where} is {with_article(type(value).__qualname__)}, which a checkpoint cannot read back safely; "
            "use tensors, numbers, strings, and lists, tuples, sets and dicts of these"
        )
