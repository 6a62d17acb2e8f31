"""Hugging Face transformers: a callback that follows a Trainer, and a loss with a penalty."""

import io
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Self
from zlib import compress, decompress

import torch
from torch import Tensor, nn

from ..nets import with_units
from ..nets.penalties import Penalty
from ..nets.penalties.process_group import ranks_of
from ..record import Measure, correlation
from .callback_tracker import Follows

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    from transformers.trainer_callback import ExportableState
except ImportError as error:
    raise ImportError('this needs transformers; install it with: pip install "cofire[transformers]"') from error

MASK = "attention_mask"
IGNORED = -100
LossFunc = Callable[..., Tensor]


class NeuronCallback(Follows, TrainerCallback, ExportableState):
    """Follows a ``Trainer``: a `cofire.Tracker` of its model, stepped after each optimizer step.

    Numbers go to ``trainer.state.log_history`` as ``cofire/<layer>/<quantity>``, and to the sink. Give the trainer
    by `attach` to have them logged as it logs its loss (``report_to``). The tracker's state is saved in
    ``trainer_state.json``; training that is resumed from a checkpoint goes on where it was. Padding is left out by the
    ``attention_mask``; evaluation and generation, which run in eval mode, are not seen.

    transformers tells its callbacks nothing of an exception. Use it in a ``with`` block, or call `close`, and no hook
    stays on the model then either.

    Args:
        measures: as for `Tracker`; by default `cofire.record.correlation` of all layers but embeddings and the output
            layer, whose units are the vocabulary.
        run, every, sink, probe, window, max_samples, seed, budget: as for `Tracker`.
        mask: as for `Tracker`; by default the argument ``attention_mask``, if the model has one.

    Raises:
        ValueError: when training begins: for a wrong argument, or a site pattern that matches nothing.

    Example:
        >>> with NeuronCallback(every=100) as callback:
        ...     ...  # Trainer(model, args, callbacks=[callback]).train()
        Ellipsis
    """

    _trainer: Any = None

    def attach(self, trainer: Any) -> Self:
        """Join a trainer, and log through it."""
        self._trainer = trainer
        trainer.add_callback(self)
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin, or go on from the checkpoint that the trainer has loaded."""
        model: nn.Module = kwargs["model"]
        if state.global_step and (kept := _kept(state, type(self).__name__)):
            self._following.load_state_dict(_unpacked(kept))

        def log(numbers: Mapping[str, float], step: int) -> None:
            if self._trainer is None:
                state.log_history.append({**numbers, "epoch": state.epoch, "step": step})
                return
            due = control.should_log  # logging takes the trainer's own request as met
            self._trainer.log(dict(numbers))
            control.should_log = due

        mask = self._following.options["mask"]
        if mask is None and MASK in signature(model.forward).parameters:
            mask = MASK
        self._following.begin(model, log, step=state.global_step, mask=mask, measures=[_hidden(model)])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record."""
        self._following.reach(state.global_step)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record what is due at the end of an epoch."""
        self._following.end_epoch()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let the model go."""
        self.close()

    def close(self) -> None:
        """Let the model go; a second call does nothing."""
        self._following.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def state(self) -> dict[str, Any]:
        """Saved in ``trainer_state.json``."""
        return {"args": {}, "attributes": {}, "tracker": _packed(self._following.state_dict())}


def _hidden(model: nn.Module) -> Measure:
    """Correlation at the layers inside the model: a vocabulary's units would be too many, and are of no layer."""
    output = getattr(model, "get_output_embeddings", lambda: None)()

    def hidden_layers(name: str, module: nn.Module) -> bool:
        return with_units(name, module) and not isinstance(module, nn.Embedding) and module is not output

    return correlation(sites=hidden_layers)


def _kept(state: TrainerState, name: str) -> str | None:
    """This callback's state in a checkpoint's, where callbacks of one class make a list."""
    all_kept: Any = state.stateful_callbacks or {}
    found = all_kept.get(name, {})
    found = found[-1] if isinstance(found, list) else found
    return found.get("tracker")


def _packed(state: Mapping[str, Any]) -> str:
    """Tensors as text."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return b64encode(compress(buffer.getvalue())).decode()


def _unpacked(text: str) -> dict[str, Any]:
    return torch.load(io.BytesIO(decompress(b64decode(text))), weights_only=True)


def _tells_its_loss(model: Any) -> bool:
    """Whether ``model.loss_function`` is meant: it falls back to that of causal language models for any model."""
    return bool(getattr(model, "loss_type", None)) or type(model).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()


class PenalizedLoss:
    """For ``Trainer(compute_loss_func=...)``: the model's loss and a penalty.

    The Trainer takes such a loss as it is, however many batches one step accumulates. Each batch's loss and penalty
    therefore count by its share of the step's labels, and a step gives the mean; a penalty with ``synchronize``, which
    is of all processes' batches, counts by the share of them all. In eval mode the penalty is left out, so that
    evaluation losses can be compared.

    Args:
        model: the model that is trained.
        penalty: one that watches it, such as ``CorrelationPenalty(model, mask="attention_mask")``. Close it after
            training: use it in a ``with`` block.
        loss_func: a loss (outputs, labels, num_items_in_batch), divided by ``num_items_in_batch`` already; by default
            the model's own.

    Raises:
        ValueError: if the model tells no loss of its own; when called, if there are no labels.
        RuntimeError: when called, if the activations have no gradient: reentrant gradient checkpointing.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> from cofire import CorrelationPenalty
        >>> model = BertForSequenceClassification(BertConfig(hidden_size=12, num_hidden_layers=1, vocab_size=9))
        >>> with CorrelationPenalty(model, "*.intermediate.dense", weight=0.1, mask="attention_mask") as penalty:
        ...     loss_func = PenalizedLoss(model, penalty)
        ...     ...  # Trainer(model, args, compute_loss_func=loss_func).train()
        Ellipsis
    """

    def __init__(self, model: Any, penalty: Penalty, loss_func: LossFunc | None = None) -> None:
        if loss_func is None and not _tells_its_loss(model):
            raise ValueError(f"{type(model).__name__} tells no loss of its own; give loss_func")
        self._model, self._penalty, self._loss_func = model, penalty, loss_func

    def __call__(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Tensor:
        """The loss of one batch."""
        if not isinstance(labels, Tensor):
            raise ValueError("the batch has no tensor 'labels', by which a loss could be computed")
        share = self._share(labels, num_items_in_batch)
        if self._loss_func is not None:
            loss = self._loss_func(outputs, labels, num_items_in_batch=num_items_in_batch)
        else:
            loss = share * self._own_loss(outputs, labels)
        return loss + self._share_of_penalty(share) * self._term() if self._model.training else loss

    def _share(self, labels: Tensor, num_items_in_batch: Any) -> Tensor:
        """Of this batch in all labels of the step, counted as the Trainer counts them."""
        if num_items_in_batch is None:
            return torch.ones((), device=labels.device)
        shifted = getattr(self._model, "loss_type", None) == "ForCausalLM"
        return (labels[..., 1:] if shifted else labels).ne(IGNORED).sum() / num_items_in_batch

    def _share_of_penalty(self, share: Any) -> Any:
        """What all processes make the penalty of counts alike in each: by their mean share, as DDP takes the mean."""
        ranks = ranks_of(getattr(self._penalty, "synchronize", False))
        return share if ranks.alone else ranks.sum(share) / ranks.size

    def _own_loss(self, outputs: Any, labels: Tensor) -> Tensor:
        """Each loss function of transformers takes those of these arguments that it knows."""
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs[0]
        size = getattr(self._model.config, "vocab_size", None)
        return self._model.loss_function(
            logits=logits, pooled_logits=logits, labels=labels, vocab_size=size, config=self._model.config
        )

    def _term(self) -> Tensor:
        term = self._penalty()
        if torch.is_grad_enabled() and not term.requires_grad:
            raise RuntimeError(
                "the penalty has no gradient: its layers ran without one, as under reentrant gradient checkpointing; "
                "set gradient_checkpointing_kwargs={'use_reentrant': False}"
            )
        return term
