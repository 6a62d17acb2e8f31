"""Full-precision arithmetic, whatever modes the process has switched on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch

LOWER = ("tf32", "bf16")


def _nothing() -> None:
    """Do nothing: there was no setting to restore."""


class _FullPrecision:
    """Keep float32 products in float32 while any thread is inside: the first one sets this, the last one restores.

    The setting belongs to the process. If each of two overlapping threads restored what it had found, one would do so
    during the other's products, or leave the other's setting behind for good.
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
    """Run a block without gradients and with float32 products in float32.

    Autocast, inference mode and the process-wide matmul precision (TF32, bfloat16 passes) are suspended and restored.
    """
    with _FULL_PRECISION, torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


def _set_highest() -> Callable[[], object]:
    """Set the highest precision and return a function that restores the previous one."""
    backends: Any = torch.backends
    matmuls = (backends.cuda.matmul, backends.mkldnn.matmul)
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set by the newer names, one per backend, which the older function cannot read
        back = [_set_ieee(matmul) for matmul in matmuls]
        return lambda: [undo() for undo in back]
    if before == "highest":
        return _nothing
    own = [matmul.fp32_precision for matmul in matmuls]
    torch.set_float32_matmul_precision("highest")
    return lambda: _set_back(before, zip(matmuls, own, strict=True))


def _set_back(before: str, matmuls: Iterable[tuple[Any, str]]) -> None:
    """Restore by the older name, which sets all backends, and then those that had a setting of their own."""
    torch.set_float32_matmul_precision(before)
    for matmul, own in matmuls:
        if matmul.fp32_precision != own:
            matmul.fp32_precision = own


def _set_ieee(matmul: Any) -> Callable[[], object]:
    """Set one backend's ``fp32_precision`` to full precision and return a function that restores it."""
    before = matmul.fp32_precision
    if before not in LOWER:
        return _nothing
    matmul.fp32_precision = "none"
    inherited = matmul.fp32_precision == before  # then it keeps following the setting for all backends
    matmul.fp32_precision = "ieee"
    return lambda: setattr(matmul, "fp32_precision", "none" if inherited else before)
