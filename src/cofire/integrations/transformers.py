"""Hugging Face transformers: a callback that tracks a Trainer, and a loss with a penalty."""

import io
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Self
from weakref import ReferenceType, ref
from zlib import compress, decompress

import torch
from torch import Tensor, nn

from ..nets.penalties import Penalty
from ..nets.penalties.process_group import ranks_of
from ..record import Measure, correlation
from .callback_tracker import TrackingCallback

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    from transformers.trainer_callback import ExportableState
except ImportError as error:
    raise ImportError('this needs transformers; install it with: pip install "cofire[transformers]"') from error

MASK = "attention_mask"
IGNORED = -100
REPORTERS = tuple(INTEGRATION_TO_CALLBACK.values())
"""The callbacks behind ``report_to``, such as those of TensorBoard and W&B; others print what the Trainer logs."""
LossFunc = Callable[..., Tensor]


class NeuronCallback(TrackingCallback, TrainerCallback, ExportableState):
    """Tracks a ``Trainer`` with a `cofire.Tracker` of its model, stepped after each optimizer step.

    Numbers go to ``trainer.state.log_history`` as ``cofire/<layer>/<quantity>``. Call `attach` with the trainer to send
    them to ``report_to`` as well. They are not printed. The run's directory and the sink get all rows. The tracker's
    state is saved in ``trainer_state.json``, and training resumed from a checkpoint continues from it. The
    ``attention_mask`` leaves out padding. Evaluation and generation run in eval mode and are not recorded.

    transformers does not tell its callbacks about exceptions. Use the callback in a ``with`` block, or call `close`, to
    remove its hooks from the model in that case too.

    Args:
        measures: as for `Tracker`; by default `cofire.record.correlation` of all layers except embeddings and the
            output layer, whose units are the vocabulary.
        run, overwrite, every, sink, probe, window, max_samples, seed, budget: as for `Tracker`.
        mask: as for `Tracker`; by default the argument ``attention_mask``, if the model has one.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`. By default one per
            measure and layer, and three of the run.

    Raises:
        ValueError: for an unknown quantity; when training begins, for another wrong argument or a site pattern that
            matches no layer.

    Example:
        >>> with NeuronCallback(every=100) as callback:
        ...     ...  # Trainer(model, args, callbacks=[callback]).train()
        Ellipsis
    """

    _trainer: "ReferenceType[Any] | None" = None

    def attach(self, trainer: Any) -> Self:
        """Add the callback to a trainer, and send numbers to where the trainer reports."""
        self._trainer = ref(trainer)  # the trainer holds the model, which a closed callback lets go
        trainer.add_callback(self)
        return self

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Begin tracking, from the checkpoint that the trainer loaded if there is one."""
        model: nn.Module = kwargs["model"]
        callbacks: Any = state.stateful_callbacks
        if state.global_step and callbacks:
            saved = callbacks.get(type(self).__name__, {})
            saved = saved[-1] if isinstance(saved, list) else saved  # several callbacks of one class make a list
            if packed := saved.get("tracker"):
                self.load_state_dict(torch.load(io.BytesIO(decompress(b64decode(packed))), weights_only=True))

        def log(numbers: Mapping[str, float], step: int) -> None:
            logs = {**numbers, "epoch": state.epoch}
            state.log_history.append({**logs, "step": step})
            # Trainer.log would print them too.
            for reporter in self._reporters():
                reporter.on_log(args, state, control, model=model, logs=dict(logs))

        mask = MASK if MASK in signature(model.forward).parameters else None
        self._begin(model, log, step=state.global_step, mask=mask, default=_hidden(model))

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record what is due at this step."""
        self._reach(state.global_step)

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record what is due at the end of an epoch."""
        self._end_epoch()

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Remove the hooks."""
        self.close()

    def _reporters(self) -> list[Any]:
        trainer = self._trainer() if self._trainer is not None else None
        callbacks = [] if trainer is None else trainer.callback_handler.callbacks
        return [one for one in callbacks if isinstance(one, REPORTERS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def state(self) -> dict[str, Any]:
        """Return what the Trainer saves in ``trainer_state.json``."""
        buffer = io.BytesIO()
        torch.save(self.state_dict(), buffer)
        packed = b64encode(compress(buffer.getvalue())).decode()  # tensors as text, since the file is JSON
        return {"args": {}, "attributes": {}, "tracker": packed}


def _hidden(model: nn.Module) -> Measure:
    """Return the default measure: correlation at all layers whose units are not the vocabulary."""
    output = getattr(model, "get_output_embeddings", lambda: None)()

    def hidden_layers(name: str, module: nn.Module) -> bool:
        return not isinstance(module, nn.Embedding) and module is not output

    return correlation(sites=hidden_layers)


def _has_own_loss(model: Any) -> bool:
    """Return whether ``model.loss_function`` fits the model.

    For any model without a loss of its own, transformers falls back to the loss of causal language models.
    """
    return bool(getattr(model, "loss_type", None)) or type(model).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()


class PenalizedLoss:
    """Adds a penalty to the model's loss, for ``Trainer(compute_loss_func=...)``.

    The Trainer sums such losses over the batches that one step accumulates. Each batch's loss and penalty are
    therefore weighted by its share of the step's labels, so that a step gives the mean. A penalty with
    ``synchronize`` covers the batches of all processes and is weighted by their joint share. In eval mode the penalty
    is left out, so that evaluation losses stay comparable.

    Args:
        model: the trained model.
        penalty: a penalty on it, such as ``CorrelationPenalty(model, mask="attention_mask")``. Use it in a ``with``
            block, to close it after training.
        loss_func: a loss (outputs, labels, num_items_in_batch) that divides by ``num_items_in_batch``; by default the
            model's own.

    Raises:
        ValueError: if the model has no loss of its own and ``loss_func`` is missing; when called, without labels.
        RuntimeError: when called, if activations carry no gradient, as under reentrant gradient checkpointing.

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
        if loss_func is None and not _has_own_loss(model):
            raise ValueError(f"{type(model).__name__} has no loss of its own; pass loss_func")
        self._model, self._penalty, self._loss_func = model, penalty, loss_func

    def __call__(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Tensor:
        """Return the loss of one batch."""
        if not isinstance(labels, Tensor):
            raise ValueError(f"the loss needs a tensor 'labels' in the batch, got {type(labels).__name__}")
        share = self._share(labels, num_items_in_batch)
        if self._loss_func is not None:
            loss = self._loss_func(outputs, labels, num_items_in_batch=num_items_in_batch)
        else:
            loss = share * self._own_loss(outputs, labels)
        return loss + self._share_of_penalty(share) * self._term() if self._model.training else loss

    def _share(self, labels: Tensor, num_items_in_batch: Any) -> Tensor:
        """Return this batch's share of the step's labels, counted as the Trainer counts them."""
        if num_items_in_batch is None:  # without a count, the loss is a mean already
            return torch.ones((), device=labels.device)
        # Causal models predict the next token, so the loss leaves out the first label.
        shifted = getattr(self._model, "loss_type", None) == "ForCausalLM"
        return (labels[..., 1:] if shifted else labels).ne(IGNORED).sum() / num_items_in_batch

    def _share_of_penalty(self, share: Any) -> Any:
        """Return the weight of the penalty.

        A synchronized penalty is the same number in every process, so all weight it by their mean share: DDP averages
        the gradients.
        """
        ranks = ranks_of(getattr(self._penalty, "synchronize", False))
        return share if ranks.alone else ranks.sum(share) / ranks.size

    def _own_loss(self, outputs: Any, labels: Tensor) -> Tensor:
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs[0]
        size = getattr(self._model.config, "vocab_size", None)
        # loss functions differ between tasks; each takes the arguments that it knows and ignores the rest
        return self._model.loss_function(
            logits=logits, pooled_logits=logits, labels=labels, vocab_size=size, config=self._model.config
        )

    def _term(self) -> Tensor:
        term = self._penalty()
        if torch.is_grad_enabled() and not term.requires_grad:
            raise RuntimeError(
                "the penalty has no gradient, as under reentrant gradient checkpointing; "
                "set gradient_checkpointing_kwargs={'use_reentrant': False}"
            )
        return term
