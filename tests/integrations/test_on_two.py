"""Lightning's DDP and Hugging Face's Trainer give the same on two processes, with uneven batches, as on one."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cofire.record import Run

PROGRAM = Path(__file__).with_name("on_two.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LAUNCHED = {"lightning": [], "transformers": TORCHRUN}  # Lightning starts its second process itself
LAST = {
    "lightning": "cofire/net.0/nc_debiased",
    "transformers": "cofire/bert.encoder.layer.0.intermediate.dense/nc_debiased",
}
# The loss is in float64 in both; transformers keeps the share of a batch, a number of its own, in float32.
TOLERANCE = {"lightning": 1e-12, "transformers": 1e-7}

pytestmark = [
    pytest.mark.filterwarnings("ignore:nothing is logged for"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*CUDA is not available"),
    pytest.mark.filterwarnings("ignore:.*isinstance.*LeafSpec.*is deprecated"),
]


def rows(folder: Path) -> dict[tuple[int, int, str, str], tuple[float, int]]:
    with Run.open(folder / "run") as run:
        return {(r.step, r.epoch, r.site, r.measure): (r.value, r.n_samples) for r in run.rows()}


@pytest.mark.parametrize("framework", [pytest.param("lightning", marks=pytest.mark.slow), "transformers"])
def test_two_processes_give_what_one_gives(framework, tmp_path):
    pytest.importorskip(framework)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    done = subprocess.run(
        [sys.executable, *LAUNCHED[framework], str(PROGRAM), framework, str(two), "2"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    runpy.run_path(str(PROGRAM))[framework](one, 1)
    wanted, found = rows(one), rows(two)
    tolerance = {"abs": TOLERANCE[framework], "nan_ok": True}
    assert found == {key: (pytest.approx(value, **tolerance), n) for key, (value, n) in wanted.items()}
    assert len({key[0] for key in found}) == 4
    logged = [json.loads((two / f"logged{rank}.json").read_text()) for rank in (0, 1)]
    assert logged[0] == logged[1] and LAST[framework] in logged[0]
    weights = [torch.load(folder / "weights.pt", weights_only=True) for folder in (one, two)]
    for name in weights[0]:
        torch.testing.assert_close(weights[1][name], weights[0][name], rtol=0, atol=10 * TOLERANCE[framework])
