"""Peak memory of the correlation of a wide layer beyond its input, in units of 4·n_units² bytes, a float32 matrix."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

N_SAMPLES, BATCH = 4096, 512
WIDTHS = [4096, 8192]
GOALS = {"Moments, batches": 1.2, "neuronal_correlation": 0.6}
STATUS = Path("/proc/self/status")


def main() -> None:
    """Each contender in a process of its own, twice: with a tiny input, which loads its code, and with the real one."""
    table = Table(title=f"Peak memory beyond the input, {N_SAMPLES} samples", title_justify="left")
    for column in ("", *(f"{width} units" for width in WIDTHS), "goal"):
        table.add_column(column, justify="left" if column in ("", "goal") else "right")
    for name in CONTENDERS:
        units = [f"{usual_peak(name, width) / (4 * width**2):.2f}" for width in WIDTHS]
        table.add_row(name, *units, f"at most {GOALS[name]}" if name in GOALS else "")
    Console().print(table)


def usual_peak(name: str, n_units: int) -> float:
    """Return the median of three: the C library's own allocations vary by a megabyte or two."""
    return median(peak(name, n_units) for _ in range(3))


def peak(name: str, n_units: int) -> int:
    """Bytes that the contender's process takes at most, less what it held before."""
    command = [sys.executable, "-m", "benchmarks.memory", name, str(n_units)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measured(name: str, n_units: int) -> int:
    """In the child: the rise of the peak over what is resident once all code is loaded and the input is there."""
    import torch

    torch.set_num_threads(2)
    CONTENDERS[name](torch.randn(64, 600))
    x = torch.randn(N_SAMPLES, n_units)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident
    CONTENDERS[name](x)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _stream(x) -> None:
    """As in training: batches come and go, one by one."""
    import torch

    from cofire.stats import Moments

    moments = Moments(compute_dtype=torch.float32)
    for batch in _batches(x):
        moments = moments.update(batch)
    moments.summary()


def _batches(x) -> Iterator:
    yield from x.split(BATCH)


def _in_memory(x) -> None:
    import torch

    from cofire.stats import neuronal_correlation

    neuronal_correlation(x, compute_dtype=torch.float32)


def _torch(x) -> None:
    import torch

    torch.corrcoef(x.T).abs().sum()


def _numpy(x) -> None:
    import numpy as np

    np.abs(np.corrcoef(x.numpy().T)).sum()


def _sklearn(x) -> None:
    import numpy as np
    from sklearn.covariance import EmpiricalCovariance

    covariance = EmpiricalCovariance(store_precision=False).fit(x.numpy()).covariance_
    scale = np.sqrt(np.diag(covariance))
    np.abs(covariance / np.outer(scale, scale)).sum()


CONTENDERS: dict[str, Callable[..., None]] = {
    "Moments, batches": _stream,
    "neuronal_correlation": _in_memory,
    "torch.corrcoef, abs, sum": _torch,
    "numpy.corrcoef, abs, sum": _numpy,
    "sklearn EmpiricalCovariance": _sklearn,
}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(measured(sys.argv[1], int(sys.argv[2])))
    else:
        main()
