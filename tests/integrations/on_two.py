"""A fit by Lightning and a training by Hugging Face that run alike in one process and in two; a program for tests.

Called with the framework, a folder and the number of processes. Rows go to the folder's run directory, the weights and
what each process has logged beside it.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

import torch
from torch import nn

from cofire import CorrelationPenalty

sys.path.append(str(Path(__file__).parents[1] / "zoo"))
if importlib.util.find_spec("torchvision"):  # the frameworks import it
    from architectures import register_operators_of_torchvision

    OPERATORS = register_operators_of_torchvision()

SPLITS = [[12, 12], [20, 4], [12, 12], [9, 2]]
"""How many of each step's samples the two processes have."""
LARGEST = 24


def lightning(folder: Path, n_processes: int) -> None:
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    from cofire.integrations.lightning import NeuronCallback, PenaltyMixin

    class Net(PenaltyMixin, LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 4)).double()

        def make_penalty(self):
            return CorrelationPenalty(self.net, "0", weight=0.3, synchronize=True)

        def training_step(self, batch, batch_idx):
            return self.net(batch[0]).square().sum() * n_processes / LARGEST + self.penalty()  # DDP takes the mean

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def train_dataloader(self):
            x = torch.randn(sum(map(sum, SPLITS)), 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
            steps = torch.arange(len(x)).split([sum(sizes) for sizes in SPLITS])
            own = [step.split(sizes)[self.global_rank] for step, sizes in zip(steps, SPLITS, strict=True)]
            return DataLoader(TensorDataset(x), batch_sampler=[one.tolist() for one in (steps, own)[n_processes - 1]])

    several = {"strategy": "ddp", "devices": 2} if n_processes > 1 else {"devices": 1}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    callback = NeuronCallback(every=1, run=folder / "run")
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[callback],
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **several,
        **quiet,
    )
    model = Net()
    trainer.fit(model)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    keep(folder, trainer.global_rank, model.net, logged)


def transformers(folder: Path, n_processes: int) -> None:
    from transformers import Trainer, TrainingArguments
    from transformers.models.bert import BertConfig, BertForSequenceClassification

    from cofire.integrations.transformers import NeuronCallback, PenalizedLoss
    from cofire.record import correlation

    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = BertForSequenceClassification(BertConfig(vocab_size=19, num_labels=2, **sizes, **off)).double()
    arguments = TrainingArguments(
        str(folder / "trainer"),
        per_device_train_batch_size=8 // n_processes,
        num_train_epochs=2,
        learning_rate=0.05,
        optim="sgd",
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        logging_steps=1,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
        accelerator_config={"even_batches": False},
        ddp_backend="gloo" if n_processes > 1 else None,
        ddp_find_unused_parameters=False,
    )
    layer = "*.intermediate.dense"
    with (
        CorrelationPenalty(model, layer, weight=0.5, mask="attention_mask", synchronize=True) as penalty,
        NeuronCallback([correlation(sites=layer)], every=1, run=folder / "run") as callback,
    ):
        loss = PenalizedLoss(model, penalty)
        trainer = Trainer(
            model,
            arguments,
            train_dataset=texts(),
            data_collator=lambda batch: {name: torch.stack([one[name] for one in batch]) for name in batch[0]},
            callbacks=[callback],
            compute_loss_func=loss,
        )
        trainer.train()
    last = {name: value for entry in trainer.state.log_history for name, value in entry.items() if "cofire/" in name}
    keep(folder, arguments.process_index, model, last)


def texts() -> list[dict[str, torch.Tensor]]:
    """14 texts of 3 to 7 tokens: of the last batch of 4 + 4 two are there, all with the first process."""
    generator = torch.Generator().manual_seed(1)
    kept = [torch.arange(7) < 3 + index % 5 for index in range(14)]
    ids = [torch.randint(2, 19, (7,), generator=generator) * one for one in kept]
    return [
        {"input_ids": tokens, "attention_mask": one.long(), "labels": torch.tensor(index % 2)}
        for index, (tokens, one) in enumerate(zip(ids, kept, strict=True))
    ]


def keep(folder: Path, rank: int, model: nn.Module, logged: dict[str, float]) -> None:
    (folder / f"logged{rank}.json").write_text(json.dumps(logged))
    if rank == 0:
        torch.save(model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    framework, place, count = sys.argv[1:]
    torch.set_num_threads(1)
    {"lightning": lightning, "transformers": transformers}[framework](Path(place), int(count))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # the first may end only when both have written
        torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread of gloo that outlives the group and asks for the interpreter while that shuts down aborts the process, so
    # the shutdown is skipped. All that is tested is on disk.
    os._exit(0)
