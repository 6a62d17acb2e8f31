"""A plain loop with Accelerate: the tracker sees the batches of each step, and its trackers get the numbers."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("accelerate", reason='needs pip install "cofire[accelerate]"')

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import GeneralTracker

from cofire import Tracker
from cofire.integrations.accelerate import AccelerateSink
from cofire.integrations.logged_numbers import SUMMARIES
from cofire.record import Row, correlation

pytestmark = pytest.mark.filterwarnings("ignore:.*CUDA is not available")

NAMES = {"cofire/0/nc_debiased", "cofire/2/nc_debiased"} | {f"cofire/run/{one}" for one in SUMMARIES}


@pytest.fixture(autouse=True)
def fresh_state():
    """Let each test have an accelerator of its own: they share one state for the life of a process."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


class Memory(GeneralTracker):
    """A tracker of the user's own, as Accelerate documents it."""

    name = "memory"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[int | None, dict]] = []

    @property
    def tracker(self):
        return self.logged

    def store_init_configuration(self, values):
        pass

    def log(self, values, step=None, **kwargs):
        self.logged.append((step, values))


def train(accelerator: Accelerator, sink, **options) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    data = DataLoader(TensorDataset(torch.randn(96, 6)), 16)
    model, optimizer, data = accelerator.prepare(model, torch.optim.SGD(model.parameters()), data)
    with Tracker(model, [correlation()], every=1, sink=sink, **options) as tracker:
        for (x,) in data:
            with accelerator.accumulate(model):
                accelerator.backward(model(x).square().mean())
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                tracker.step()


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_plain_loop_logs_each_step_once(accumulate, precision):
    memory, rows = Memory(), list[Row]()
    options = {"log_with": memory, "gradient_accumulation_steps": accumulate, "mixed_precision": precision}
    accelerator = Accelerator(cpu=True, **options)
    accelerator.init_trackers("test")
    sink = AccelerateSink(accelerator)
    train(accelerator, lambda found: (rows.extend(found), sink(found)))
    assert [step for step, _ in memory.logged] == list(range(1, 6 // accumulate + 1))
    assert all(values.keys() == NAMES for _, values in memory.logged)
    assert {row.n_samples for row in rows} == {16 * accumulate}
    last = {row.site: row.value for row in rows if row.measure == "nc_debiased"}
    assert memory.logged[-1][1]["cofire/0/nc_debiased"] == max(0, last["0"])


def test_tensorboard_gets_numbers_and_images(tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=tmp_path)
    accelerator.init_trackers("test")
    train(accelerator, AccelerateSink(accelerator, quantities=["nc"], images=True))
    accelerator.end_training()
    events = EventAccumulator(str(tmp_path / "test")).Reload()
    assert set(events.Tags()["scalars"]) == {"cofire/0/nc", "cofire/2/nc"}
    assert [one.step for one in events.Images("cofire/0/correlation")] == [1, 2, 4, 6]
