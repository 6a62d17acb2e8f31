"""Real loggers, read back: TensorBoard's event files, W&B's offline file, MLflow's file store."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from cofire import Tracker
from cofire.integrations.logged_numbers import LoggedNumbers
from cofire.integrations.loggers.sink import is_symmetric, picture
from cofire.record import Row, correlation, weight_correlation

AWKWARD = "a b/é"
NC = "cofire/0/nc_debiased"

pytestmark = pytest.mark.filterwarnings("ignore:nothing is logged for 2 .1 unit")


def train(sink, steps: int = 3) -> list[Row]:
    """Return rows of a model with an awkward name, and a layer of one unit."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    model.add_module(AWKWARD, nn.Linear(1, 5))
    rows: list[Row] = []

    def both(*recorded):
        rows.extend(recorded[0])
        sink(*recorded)

    both.takes_arrays = sink.takes_arrays
    with Tracker(model, [correlation(), correlation(stage="pre", sites="0")], every=1, sink=both) as tracker:
        for step in range(steps):
            model(torch.randn(20, 4))
            tracker.step()
            tracker.log(loss=1.0 / (step + 1))
    return rows


def expected(rows: list[Row]) -> dict[tuple[str, int], float]:
    numbers = LoggedNumbers()
    steps = sorted({row.step for row in rows})
    # the loss is logged on its own, after the layers
    found = {step: numbers(row for row in rows if row.step == step) for step in steps}
    return {(name, step): value for step, of_step in found.items() for name, value in of_step.items()}


def same(found: dict, rows: list[Row]) -> None:
    wanted = expected(rows)
    assert found.keys() == wanted.keys()
    assert {name for name, _ in found} >= {NC, "cofire/0--pre/nc_debiased", "cofire/run/loss", "cofire/run/constant"}
    assert len(found) == 3 * (3 + 3 + 1)  # at three steps: three layers, three summaries and the loss
    assert list(found.values()) == pytest.approx([wanted[key] for key in found], rel=1e-6)


@pytest.fixture
def tensorboard(tmp_path: Path) -> Iterator:
    pytest.importorskip("tensorboard", reason='needs pip install "cofire[loggers]"')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read() -> EventAccumulator:
        events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "images": 0})
        return events.Reload()

    return tmp_path, read


def test_tensorboard_scalars(tensorboard):
    from cofire.integrations.loggers.tensorboard import TensorBoardSink

    folder, read = tensorboard
    with TensorBoardSink(folder) as sink:
        rows = train(sink)
    events = read()
    found = {(tag, e.step): e.value for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}
    same(found, rows)
    assert not events.Tags()["images"]


def test_tensorboard_images_on_the_measures_schedule(tensorboard):
    from cofire.integrations.loggers.tensorboard import TensorBoardSink

    folder, read = tensorboard
    with TensorBoardSink(folder, images=True) as sink:
        train(sink, steps=7)
    events = read()
    assert [e.step for e in events.Images("cofire/0/correlation")] == [1, 2, 4, 7]
    assert {tag.rpartition("/")[2] for tag in events.Tags()["images"]} == {"correlation"}
    assert events.Images("cofire/0/correlation")[0].width == 6 * (256 // 6)


def test_the_users_writer_stays_open(tensorboard):
    from torch.utils.tensorboard.writer import SummaryWriter

    from cofire.integrations.loggers.tensorboard import TensorBoardSink

    folder, read = tensorboard
    with SummaryWriter(str(folder)) as writer:
        with TensorBoardSink(writer) as sink:
            train(sink)
        writer.add_scalar("mine", 1.0, 9)
    assert {"mine", NC} <= set(read().Tags()["scalars"])


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, value)
    package = pytest.importorskip("wandb", reason='needs pip install "cofire[loggers]"')
    yield package
    ended(package)


def ended(package: ModuleType) -> None:
    """End the run, and wandb's own process, which writes the end of the file only after `finish` has returned."""
    package.finish()
    package.teardown()


def history(folder: Path) -> list[dict]:
    """Yield the records of the offline file."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.rglob("*.wandb")
    records = [Record.FromString(data) for data in logged(path.read_bytes())]
    return [
        {one.key or "|".join(one.nested_key): json.loads(one.value_json) for one in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]


def logged(file: bytes) -> Iterator[bytes]:
    """The messages of a LevelDB log: pieces of (checksum, length, kind) and content, none across a 32 KiB block."""
    whole, place = b"", 7
    while place + 7 <= len(file):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
        length, kind = struct.unpack_from("<HB", file, place + 4)
        whole += file[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the only piece, or the last
            yield whole
            whole = b""


def test_wandb_offline(wandb, tmp_path):
    from cofire.integrations.loggers.wandb import STEP, WandbSink

    wandb.init(project="test", settings=wandb.Settings(x_disable_stats=True, disable_git=True))
    sink = WandbSink(images=True)
    rows = train(sink)
    ended(wandb)
    records = history(tmp_path)
    found = {
        (name, record[STEP]): float(value)
        for record in records
        for name, value in record.items()
        if name.startswith("cofire/") and name != STEP and "|" not in name
    }
    same(found, rows)
    images = [record for record in records if record.get("cofire/0/correlation|_type") == "image-file"]
    assert [record[STEP] for record in images] == [1, 2, 3]
    (file,) = tmp_path.rglob(Path(images[0]["cofire/0/correlation|path"]).name)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_wandb_without_a_run(wandb):
    from cofire.integrations.loggers.wandb import WandbSink

    with pytest.raises(ValueError, match=r"no active W&B run; call wandb\.init"):
        WandbSink()


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    package = pytest.importorskip("mlflow", reason='needs pip install "cofire[loggers]"')
    before = package.get_tracking_uri()
    package.set_tracking_uri((tmp_path / "store").as_uri())
    yield package
    while package.active_run() is not None:
        package.end_run()
    package.set_tracking_uri(before)


def test_mlflow_file_store(mlflow):
    from cofire.integrations.loggers.mlflow import MLflowSink

    with mlflow.start_run() as run:
        rows = train(MLflowSink(images=True))
    client = mlflow.MlflowClient()
    names = client.get_run(run.info.run_id).data.metrics
    found = {(name, m.step): m.value for name in names for m in client.get_metric_history(run.info.run_id, name)}
    same(found, rows)
    images = [one.path for one in client.list_artifacts(run.info.run_id, "images")]
    assert sum("correlation" in path and path.endswith(".png") for path in images) >= 3


def test_mlflow_takes_many_metrics(mlflow):
    from cofire.integrations.loggers.mlflow import MLflowSink

    with mlflow.start_run() as run:
        MLflowSink()([Row("", 1, 0, f"layer{i}", "nc_debiased", "{}", i / 2000, 10, 0) for i in range(1003)])
    assert len(mlflow.MlflowClient().get_run(run.info.run_id).data.metrics) == 1003 + 2


def test_mlflow_without_a_run(mlflow):
    from cofire.integrations.loggers.mlflow import MLflowSink

    with pytest.raises(ValueError, match="no active MLflow run"):
        MLflowSink()


def test_a_picture_shows_signs_and_gaps():
    image = picture(np.array([[1.0, np.nan, 0.0], [np.nan, 1.0, -0.5], [0.0, -0.5, 1.0]], dtype=np.float16))
    side = 256 // 3
    assert image.shape == (3 * side, 3 * side, 3) and image.dtype == np.uint8
    centers = image[side // 2 :: side, side // 2 :: side]
    assert centers[0, 1].tolist() == [128, 128, 128] and centers[0, 2].tolist() == [255, 255, 255]
    assert centers[1, 2, 2] > centers[1, 2, 0] and centers[0, 0, 0] > centers[0, 0, 2]


def test_large_values_scale_the_colors():
    assert (picture(np.array([[4.0, 2.0], [2.0, 4.0]]))[0, -1] > picture(np.eye(2))[0, 0]).all()


@pytest.mark.parametrize(
    "value", [np.ones(3), np.ones((3, 2)), np.ones((1, 1)), np.triu(np.ones((3, 3))), np.eye(3, dtype=int)]
)
def test_other_arrays_are_not_pictures(value):
    assert not is_symmetric(value)


def test_weights_alone_are_logged_too():
    rows: list[Row] = []
    with Tracker(nn.Linear(4, 3), [weight_correlation()], every=1, sink=rows.extend) as tracker:
        tracker.step()
    assert {row.measure for row in rows} >= {"wc", "wc_signed"}
