"""Real Lightning fits on the digits: what is logged, saved, resumed, and left behind."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("lightning", reason='needs pip install "cofire[lightning]"')

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import DummyLogger

from cofire import CorrelationPenalty, Tracker
from cofire.integrations.lightning import NeuronCallback, PenaltyMixin
from cofire.record import Row, Run, correlation

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*CUDA is not available"),
    pytest.mark.filterwarnings("ignore:.*isinstance.*LeafSpec.*is deprecated"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


@pytest.fixture(scope="module")
def digits() -> TensorDataset:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return TensorDataset(torch.tensor(x[:320] / 16, dtype=torch.float32), torch.tensor(y[:320]))


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Penalized(PenaltyMixin, Net):
    def make_penalty(self):
        return CorrelationPenalty(self.net, "0", weight=0.5)

    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) + self.penalty()


def fit(
    model: LightningModule, data: TensorDataset, *callbacks: Callback, ckpt: Path | None = None, **options
) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    saves = any(isinstance(one, ModelCheckpoint) for one in callbacks)
    options = {"max_epochs": 2, "logger": False, "enable_checkpointing": saves, **quiet, **options}
    trainer = Trainer(accelerator="cpu", devices=1, callbacks=list(callbacks), **options)
    trainer.fit(model, DataLoader(data, 32), DataLoader(data, 160), ckpt_path=ckpt)
    return trainer


def n_hooks(model: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules())


def by_hand(data: TensorDataset, every: int) -> list[Row]:
    """Train the same network in a plain loop."""
    model, rows = Net(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Tracker(model, [correlation()], every=every, sink=rows.extend) as tracker:
        for _ in range(2):
            for x, y in DataLoader(data, 32):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model.net(x), y).backward()
                optimizer.step()
                tracker.step()
            tracker.end_epoch()
    return rows


def test_a_fit_records_what_a_plain_loop_records(digits, tmp_path):
    rows: list[Row] = []
    model = Net()
    trainer = fit(model, digits, NeuronCallback(every=3, sink=rows.extend), logger=CSVLogger(tmp_path))
    assert rows == by_hand(digits, every=3)
    assert sorted({row.step for row in rows}) == [3, 6, 9, 12, 15, 18]
    assert n_hooks(model) == 0
    last = {row.measure: row.value for row in rows if row.site == "net.0" and row.step == 18}
    assert trainer.callback_metrics["cofire/net.0/nc_debiased"].item() == pytest.approx(last["nc_debiased"])
    logged = Path(trainer.logger.log_dir, "metrics.csv").read_text().splitlines()
    names = logged[0].split(",")
    quantities = {name.partition("/")[2] for name in names if name.startswith("cofire/")}
    summaries = {"run/nc_debiased_mean", "run/nc_debiased_max", "run/constant"}
    assert quantities == {"net.0/nc_debiased", "net.2/nc_debiased"} | summaries
    values = [line.split(",")[names.index("cofire/net.0/nc_debiased")] for line in logged[1:]]
    assert [float(value) for value in values if value] == [
        row.value for row in rows if (row.site, row.measure) == ("net.0", "nc_debiased")
    ]


def test_sanity_checks_and_validation_are_not_recorded(digits):
    rows: list[Row] = []
    fit(Net(), digits, NeuronCallback(every=1, sink=rows.extend), num_sanity_val_steps=2, val_check_interval=1)
    assert {row.n_samples for row in rows} == {32}
    assert min(row.step for row in rows) == 1


def test_accumulated_batches_count_as_one_step(digits):
    rows: list[Row] = []
    fit(Net(), digits, NeuronCallback(every=1, sink=rows.extend), accumulate_grad_batches=4)
    assert sorted({row.step for row in rows}) == [1, 2, 3, 4, 5, 6]  # 10 batches an epoch: 4, 4 and 2
    assert [row.n_samples for row in rows if (row.site, row.measure) == ("net.0", "nc")] == [128, 128, 64] * 2


def test_a_resumed_fit_records_the_rows_of_an_uninterrupted_one(digits, tmp_path):
    whole, parts = [], []
    fit(Net(), digits, NeuronCallback(every=4, window=2, sink=whole.extend), max_epochs=3)
    for epochs, ckpt in ((1, None), (3, tmp_path / "last.ckpt")):
        saving = ModelCheckpoint(tmp_path, save_last=True, monitor=None)
        fit(Net(), digits, NeuronCallback(every=4, window=2, sink=parts.extend), saving, max_epochs=epochs, ckpt=ckpt)
    assert parts == whole
    assert sorted({row.step for row in parts}) == [4, 8, 12, 16, 20, 24, 28]


def test_a_run_directory_and_a_probe_are_resumed(digits, tmp_path):
    probe = digits.tensors[0][:100]
    for epochs, ckpt in ((1, None), (2, tmp_path / "last.ckpt")):
        callback = NeuronCallback(every=10, run=tmp_path / "run", probe=probe)
        fit(Net(), digits, callback, ModelCheckpoint(tmp_path, save_last=True), max_epochs=epochs, ckpt=ckpt)
    whole: list[Row] = []
    fit(Net(), digits, NeuronCallback(every=10, sink=whole.extend, probe=probe))
    with Run.open(tmp_path / "run") as run:
        found = [row._replace(run="") for row in run.rows()]
    assert sorted(found) == sorted(whole)
    assert {row.step for row in found} == {0, 10, 20}


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()])
def test_no_hook_stays_after_an_exception(digits, error):
    class Fails(Penalized):
        def validation_step(self, batch, batch_idx):
            if self.global_step == 3:
                raise error

    model = Fails()
    with pytest.raises((RuntimeError, SystemExit)):
        fit(model, digits, NeuronCallback(every=1), val_check_interval=1)
    assert n_hooks(model) == 0
    with pytest.raises(RuntimeError, match="no penalty is open"):
        model.penalty()


def test_nothing_is_printed_but_lightnings_own(digits, capsys):
    def printed(*callbacks: Callback) -> str:
        fit(Net(), digits, *callbacks, max_epochs=1, enable_progress_bar=True)
        return "".join(capsys.readouterr())

    assert "cofire" not in printed(NeuronCallback(every=1)) and "nc_debiased" not in printed(NeuronCallback(every=1))


def test_quantities_are_chosen(digits):
    trainer = fit(Net(), digits, NeuronCallback(every=5, quantities=["nc", "nc_debiased_max"]), max_epochs=1)
    found = {name for name in trainer.callback_metrics if name.startswith("cofire/")}
    assert found == {"cofire/net.0/nc", "cofire/net.2/nc", "cofire/run/nc_debiased_max"}
    with pytest.raises(ValueError, match="did you mean 'nc_debiased'"):
        NeuronCallback(quantities=["nc_debaised"])


def test_a_budget_is_accounted_for(digits):
    rows: list[Row] = []
    callback = NeuronCallback(every=1, sink=rows.extend, budget=0.5)
    fit(Net(), digits, callback, max_epochs=3)
    assert any(row.measure == "overhead" for row in rows)


def test_other_callbacks_can_monitor_it(digits, tmp_path):
    saving = ModelCheckpoint(tmp_path, monitor="cofire/run/nc_debiased_max", every_n_train_steps=2, save_top_k=1)
    stopping = EarlyStopping("cofire/run/nc_debiased_mean", stopping_threshold=2.0, patience=5)  # NC is below 2 at once
    trainer = fit(Net(), digits, NeuronCallback(every=1), saving, stopping)
    assert trainer.current_epoch == 1
    assert 0 < saving.best_model_score.item() < 1


def gradients(batches, *, autocast: bool) -> list[torch.Tensor]:
    """Return the gradients of the mean over batches of loss and penalty, computed by hand."""
    model = Net()
    with CorrelationPenalty(model.net, "0", weight=0.5) as penalty:
        for x, y in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = nn.functional.cross_entropy(model.net(x), y) + penalty()
            (loss / len(batches)).backward()
    return [p.grad for p in model.parameters()]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_penalty_has_correct_gradients(digits, precision, accumulate):
    class Keeps(Penalized):
        def on_before_optimizer_step(self, optimizer):
            self.kept = [p.grad.clone() for p in self.parameters()]

    model = Keeps()
    fit(model, digits, max_steps=1, accumulate_grad_batches=accumulate, precision=precision)
    batches = [batch for batch, _ in zip(DataLoader(digits, 32), range(accumulate), strict=False)]
    expected = gradients(batches, autocast=precision == "bf16-mixed")
    without = Net()
    nn.functional.cross_entropy(without.net(batches[0][0]), batches[0][1]).backward()
    for found, wanted in zip(model.kept, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(model.kept[0], without.net[0].weight.grad, rtol=1e-2)


def test_the_penalty_is_logged_and_its_steps_are_resumed(digits, tmp_path):
    class Scheduled(Penalized):
        def make_penalty(self):
            self.opened = [CorrelationPenalty(self.net, "0", weight=lambda step: 0.01 * step)]
            return self.opened[0]

    first, second = Scheduled(), Scheduled()
    trainer = fit(first, digits, ModelCheckpoint(tmp_path, save_last=True), max_epochs=1, logger=DummyLogger())
    assert trainer.callback_metrics["cofire/0/penalty"] > 0.5 - 1e-6
    fit(second, digits, ModelCheckpoint(tmp_path), ckpt=tmp_path / "last.ckpt")
    assert second.opened[0].n_steps == 20 and math.isclose(second.opened[0].weight, 0.2)


def test_a_pattern_that_matches_nothing_is_an_error_when_the_fit_begins(digits):
    model = Net()
    with pytest.raises(ValueError, match="no layer of the model matches 'missing'"):
        fit(model, digits, NeuronCallback([correlation(sites="missing")]))
    assert n_hooks(model) == 0
