"""Arithmetic that means what it says, whatever mode the process happens to be in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Within the block nothing is recorded for gradients and float32 products run in float32.

    Autocast, inference mode and the process-wide matmul precision (TF32, bfloat16 passes) are set aside and restored.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
