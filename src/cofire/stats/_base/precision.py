"""Arithmetic that means what it says, whatever mode the process happens to be in."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch

LOWER = ("tf32", "bf16")


def _nothing() -> None:
    """There was nothing to set."""


class _FullPrecision:
    """Float32 products in float32 while anybody is inside: the first in sets the process so, the last out sets it back.

    The setting is the whole process's. Where each thread kept what it had met, one of two that overlap would set back
    under the other's products, or for good what the other had set.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._set_back: Callable[[], object] = _nothing

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._set_back = _set_highest()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._set_back()


_FULL_PRECISION = _FullPrecision()


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Within the block nothing is recorded for gradients and float32 products run in float32.

    Autocast, inference mode and the process-wide matmul precision (TF32, bfloat16 passes) are set aside and restored.
    """
    with _FULL_PRECISION, torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


def _set_highest() -> Callable[[], object]:
    """Set the highest precision; how to set back what was."""
    backends: Any = torch.backends
    matmuls = (backends.cuda.matmul, backends.mkldnn.matmul)
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set by the newer names, each backend's own, of which the older know nothing
        back = [_set_ieee(matmul) for matmul in matmuls]
        return lambda: [undo() for undo in back]
    if before == "highest":
        return _nothing
    own = [matmul.fp32_precision for matmul in matmuls]
    torch.set_float32_matmul_precision("highest")
    return lambda: _set_back(before, zip(matmuls, own, strict=True))


def _set_back(before: str, matmuls: Iterable[tuple[Any, str]]) -> None:
    """By the older name, which sets all backends, also those that had not been set."""
    torch.set_float32_matmul_precision(before)
    for matmul, own in matmuls:
        if matmul.fp32_precision != own:
            matmul.fp32_precision = own


def _set_ieee(matmul: Any) -> Callable[[], object]:
    """As `_set_highest` for one backend: its ``fp32_precision``."""
    before = matmul.fp32_precision
    if before not in LOWER:
        return _nothing
    matmul.fp32_precision = "none"
    inherited = matmul.fp32_precision == before  # and goes on to follow what is set for all backends
    matmul.fp32_precision = "ieee"
    return lambda: setattr(matmul, "fp32_precision", "none" if inherited else before)
