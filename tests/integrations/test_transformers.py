"""Real Trainers on small BERT and GPT-2, made from a configuration: masks, checkpoints, accumulation, tied weights."""

import gc
import json
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("transformers", reason='needs pip install "cofire[transformers]"')

from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.models.bert import BertConfig, BertForSequenceClassification
from transformers.models.gpt2 import GPT2Config, GPT2LMHeadModel

from cofire import CorrelationPenalty, Tracker, capture
from cofire.integrations.transformers import NeuronCallback, PenalizedLoss
from cofire.record import Row, correlation, weight_correlation
from cofire.stats import neuronal_correlation, weight_correlation_summary

VOCABULARY, LENGTH = 19, 7
MLP = {"bert": "*.intermediate.dense", "gpt2": "*.c_fc"}
MASK = "attention_mask"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
    pytest.mark.filterwarnings("ignore:nothing is logged for"),
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning"),
]


def bert(**options) -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY, num_labels=2, **sizes, **off, **options))


def gpt2(**options) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"n_embd": 12, "n_layer": 2, "n_head": 2, "n_positions": 16, "bos_token_id": 0, "eos_token_id": 1}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, pad_token_id=0, **sizes, **off, **options))


MODELS = {"bert": bert, "gpt2": gpt2}


def texts(kind: str, *, side: str = "right", n: int = 24) -> list[dict[str, Tensor]]:
    """Return texts of 3 to 7 tokens, padded on one side."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for index in range(n):
        length = 3 + index % 5
        tokens = torch.randint(2, VOCABULARY, (LENGTH,), generator=generator)
        kept = torch.arange(LENGTH) < length if side == "right" else torch.arange(LENGTH) >= LENGTH - length
        ids = torch.where(kept, tokens, 0)
        labels = torch.tensor(index % 2) if kind == "bert" else torch.where(kept, ids, -100)
        found.append({"input_ids": ids, MASK: kept.long(), "labels": labels})
    return found


def stacked(batch: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([one[name] for one in batch]) for name in batch[0]}


def trainer(model: nn.Module, data: list, folder: Path, *callbacks: TrainerCallback, loss=None, **options) -> Trainer:
    defaults = {"per_device_train_batch_size": 4, "num_train_epochs": 1, "learning_rate": 0.05, "optim": "sgd"}
    quiet = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "logging_steps": 2}
    plain = {"lr_scheduler_type": "constant", "max_grad_norm": 0.0, "seed": 3, "dataloader_pin_memory": False}
    arguments = TrainingArguments(str(folder), **{**defaults, **quiet, **plain, **options})
    return Trainer(
        model, arguments, train_dataset=data, data_collator=stacked, callbacks=list(callbacks), compute_loss_func=loss
    )


def n_hooks(model: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules())


class Batches(TrainerCallback):
    """Collects the model's inputs in training."""

    def __init__(self, model: nn.Module) -> None:
        self.seen: list[dict[str, Tensor]] = []
        model.register_forward_pre_hook(self.note, with_kwargs=True)

    def note(self, model: nn.Module, args: tuple, kwargs: dict) -> None:
        if model.training:
            self.seen.append({name: kwargs[name].clone() for name in ("input_ids", MASK)})


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", MODELS)
def test_padding_is_left_out_on_either_side(kind, side, tmp_path):
    model, rows = MODELS[kind](), []
    batches = Batches(model)
    before = MODELS[kind]()
    with NeuronCallback(every=[1], sink=rows.extend) as callback:
        trainer(model, texts(kind, side=side), tmp_path, batches, callback).train()
    first = batches.seen[0]
    with torch.no_grad(), capture(before, MLP[kind]) as found:
        before(**first)
    for name, x in found.items():
        kept = x.reshape(4, LENGTH, -1)[first[MASK].bool()]
        (row,) = (row for row in rows if (row.site, row.measure, row.step) == (name, "nc", 1))
        assert row.n_samples == int(first[MASK].sum()) == len(kept)
        assert row.value == pytest.approx(neuronal_correlation(kept).mean_abs, rel=1e-6)
    assert n_hooks(model) == 1  # the test's own


def test_all_hidden_layers_but_no_vocabulary_are_recorded(tmp_path):
    model, rows = gpt2(), []
    trainer(model, texts("gpt2"), tmp_path, NeuronCallback(every=2, sink=rows.extend)).train()
    sites = {row.site for row in rows}
    assert {"transformer.h.0.mlp.c_fc", "transformer.h.1.attn.c_attn"} <= sites
    assert not {"lm_head", "transformer.wte", "transformer.wpe", "transformer.ln_f"} & sites
    assert sorted({row.step for row in rows}) == [2, 4, 6]


NUMBER = "cofire/bert.encoder.layer.0.intermediate.dense/nc_debiased"


class Printing(TrainerCallback):
    """Prints whatever the Trainer logs, as many users' callbacks do."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        print(logs)


@pytest.mark.parametrize("disable_tqdm", [False, True])
@pytest.mark.parametrize("attached", [False, True])
def test_numbers_are_in_the_log_beside_the_loss_and_are_not_printed(attached, disable_tqdm, tmp_path, capsys):
    callback = NeuronCallback(every=2)
    own = [Printing()] if attached else [Printing(), callback]
    training = trainer(bert(), texts("bert"), tmp_path, *own, disable_tqdm=disable_tqdm)
    if attached:
        callback.attach(training)
    training.train()
    history = training.state.log_history
    assert [entry["step"] for entry in history if NUMBER in entry] == [2, 4, 6]
    assert [entry["step"] for entry in history if "loss" in entry] == [2, 4, 6]
    logged = {name for entry in history for name in entry if name.startswith("cofire/")}
    assert {name.rpartition("/")[2] for name in logged if "/run/" not in name} == {"nc_debiased"}
    assert len(logged) == 12 + 3  # two blocks of six layers, and the run
    printed = "".join(capsys.readouterr())
    assert "loss" in printed and "cofire" not in printed


def test_an_attached_callback_reports_where_the_trainer_does(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    training = trainer(bert(), texts("bert"), tmp_path, report_to="tensorboard")
    NeuronCallback(every=2, quantities=["nc", "constant"]).attach(training)
    training.train()
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "cofire" in tag]
    assert "train/cofire/run/constant" in tags and len(tags) == 12 + 1
    assert [one.step for one in events.Scalars("train/cofire/run/constant")] == [2, 4, 6]
    assert [one.step for one in events.Scalars("train/loss")] == [2, 4, 6]


def test_a_callback_that_has_ended_lets_model_and_trainer_go(tmp_path):
    callback = NeuronCallback(every=2)

    def trained() -> weakref.ref:
        model = bert()
        training = trainer(model, texts("bert"), tmp_path)
        callback.attach(training)
        training.train()
        return weakref.ref(model)

    held = trained()
    gc.collect()
    assert held() is None


def test_evaluation_and_generation_are_not_recorded(tmp_path):
    class Generates(TrainerCallback):
        def on_step_end(self, args, state, control, model, **kwargs):
            model.eval()
            self.made = model.generate(torch.tensor([[5, 6]]), max_new_tokens=3, do_sample=False)
            model.train()

    def train(*callbacks) -> list[Row]:
        model, rows = gpt2(), []
        training = trainer(model, texts("gpt2"), tmp_path, *callbacks, NeuronCallback(every=1, sink=rows.extend))
        training.train()
        return rows

    generates = Generates()
    assert train(generates) == train()
    assert generates.made.shape == (1, 5)


def test_generation_is_the_same_with_a_penalty_attached():
    model = gpt2().eval()
    expected = model.generate(torch.tensor([[5, 6]]), max_new_tokens=5, do_sample=False)
    with CorrelationPenalty(model, "*.c_fc", mask=MASK):
        found = model.generate(torch.tensor([[5, 6]]), max_new_tokens=5, do_sample=False)
    assert torch.equal(found, expected)


def test_accumulated_batches_count_as_one_step(tmp_path):
    rows: list[Row] = []
    data = texts("bert")
    callback = NeuronCallback(every=1, sink=rows.extend)
    trainer(bert(), data, tmp_path, callback, gradient_accumulation_steps=3).train()
    n_tokens = [row.n_samples for row in rows if row.measure == "nc" and row.site.endswith("0.intermediate.dense")]
    assert len(n_tokens) == 2 and sum(n_tokens) == sum(int(one[MASK].sum()) for one in data)


def test_training_resumes_from_a_checkpoint(tmp_path):
    whole, parts = [], []
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 5}
    trainer(
        bert(), texts("bert"), tmp_path / "a", NeuronCallback(every=2, window=2, sink=whole.extend), **options
    ).train()
    with NeuronCallback(every=2, window=2, sink=parts.extend) as callback:
        trainer(bert(), texts("bert"), tmp_path / "b", callback, **options, max_steps=5).train()
    callback = NeuronCallback(every=2, window=2, sink=parts.extend)
    training = trainer(bert(), texts("bert"), tmp_path / "b", callback, **options)
    training.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-5"))
    assert sorted({row.step for row in parts}) == [2, 4, 6, 8, 10, 12]
    assert parts == whole
    kept = json.loads((tmp_path / "b" / "checkpoint-5" / "trainer_state.json").read_text())
    assert "NeuronCallback" in kept["stateful_callbacks"]


def test_no_hook_stays_after_an_exception(tmp_path):
    class Fails(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 2:
                raise RuntimeError("boom")

    model = bert()
    with pytest.raises(RuntimeError, match="boom"), NeuronCallback(every=1) as callback:
        trainer(model, texts("bert"), tmp_path, callback, Fails()).train()
    assert n_hooks(model) == 0 and callback.tracker is None


def by_hand(kind: str, batches: list[dict[str, Tensor]], weight: float) -> list[Tensor]:
    """Return gradients of the mean loss over labels and the mean penalty, with each batch weighted by its labels."""
    model, share = MODELS[kind]().train(), []
    counts = [int(one["labels"].ne(-100).sum()) for one in batches]
    with CorrelationPenalty(model, MLP[kind], weight=weight, mask=MASK) as penalty:
        for batch, count in zip(batches, counts, strict=True):
            share.append(count / sum(counts))
            ((model(**batch).loss + penalty()) * share[-1]).backward()
    return [p.grad for p in model.parameters()]


class Gradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        self.kept = [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("kind", MODELS)
def test_the_penalty_has_correct_gradients(kind, accumulate, tmp_path):
    data = texts(kind)
    model, kept = MODELS[kind](), Gradients()
    with CorrelationPenalty(model, MLP[kind], weight=0.5, mask=MASK) as penalty:
        training = trainer(
            model,
            data,
            tmp_path,
            kept,
            loss=PenalizedLoss(model, penalty),
            max_steps=1,
            gradient_accumulation_steps=accumulate,
        )
        training._get_train_sampler = lambda *args: torch.utils.data.SequentialSampler(data)
        training.train()
    batches = [stacked(data[start : start + 4]) for start in range(0, 4 * accumulate, 4)]
    expected, without = by_hand(kind, batches, 0.5), by_hand(kind, batches, 0.0)
    for found, wanted in zip(kept.kept, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert any(not torch.allclose(a, b, rtol=1e-2) for a, b in zip(expected, without, strict=True))
    assert n_hooks(model) == 0


@pytest.mark.parametrize("kind", MODELS)
def test_gradient_checkpointing_changes_nothing(kind):
    def gradients(checkpointing: bool) -> list[Tensor]:
        model = MODELS[kind]().train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        batch, rows = stacked(texts(kind)[:4]), []
        labels = batch.pop("labels")
        with (
            CorrelationPenalty(model, MLP[kind], weight=0.5, mask=MASK) as penalty,
            Tracker(model, [correlation(sites=MLP[kind])], every=1, sink=rows.extend, mask=MASK) as tracker,
        ):
            PenalizedLoss(model, penalty)(model(**batch), labels).backward()
            tracker.step()
        assert {row.n_samples for row in rows} == {int(batch[MASK].sum())}  # the recomputation is not seen
        return [p.grad for p in model.parameters()]

    for found, wanted in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_reentrant_checkpointing_is_an_error():
    model = bert().train()
    model.gradient_checkpointing_enable({"use_reentrant": True})
    batch = stacked(texts("bert")[:4])
    labels = batch.pop("labels")
    with (
        CorrelationPenalty(model, MLP["bert"], mask=MASK) as penalty,
        pytest.raises(RuntimeError, match="use_reentrant"),
    ):
        PenalizedLoss(model, penalty)(model(**batch), labels)


def test_evaluation_has_no_penalty_and_the_users_loss_is_used():
    model, batch = bert().eval(), stacked(texts("bert")[:4])
    labels = batch.pop("labels")
    with CorrelationPenalty(model, MLP["bert"], weight=2.0, mask=MASK) as penalty:
        outputs = model(**batch)
        own = PenalizedLoss(model, penalty)(outputs, labels).item()
        assert own == pytest.approx(model(**batch, labels=labels).loss.item(), rel=1e-6)
        model.train()
        zero = PenalizedLoss(model, penalty, lambda outputs, labels, num_items_in_batch: outputs.logits.sum() * 0)
        assert zero(model(**batch), labels, 8).item() == pytest.approx(penalty().item() / 2, rel=1e-5)


def test_a_model_without_a_loss_is_an_error():
    model = bert()
    with pytest.raises(ValueError, match="BertModel has no loss of its own; pass loss_func"):
        PenalizedLoss(model.bert, CorrelationPenalty())
    with pytest.raises(ValueError, match="needs a tensor 'labels'"):
        PenalizedLoss(model, CorrelationPenalty())(None, None)


def test_weights_of_gpt2_are_read_by_unit_and_tied_ones_stay_tied(tmp_path):
    model, rows = gpt2(), []
    layer = model.transformer.h[0].mlp.c_fc
    measure = weight_correlation(sites=["*.c_fc", "lm_head", "transformer.wte"])
    trainer(model, texts("gpt2"), tmp_path, NeuronCallback([measure], every=[6], sink=rows.extend)).train()
    assert model.lm_head.weight is model.transformer.wte.weight
    found = {row.site: row.value for row in rows if row.measure == "wc"}
    table = model.transformer.wte.weight.detach()
    expected = {"lm_head": table, "transformer.wte": table.T, "transformer.h.0.mlp.c_fc": layer.weight.detach().T}
    for name, weight in expected.items():
        assert found[name] == pytest.approx(weight_correlation_summary(weight).mean_abs, rel=1e-6)
