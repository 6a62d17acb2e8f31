"""Scores of networks: the larger, the better."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ..loading.batches import forward
from ..loading.eval_mode import evaluating
from .output_change import numbers


class NoLabels(ValueError):
    """The data have no class labels, or the model no logits for them."""


def accuracy(model: nn.Module, batches: Iterable[Any]) -> float:
    """Return the share of samples whose largest logit is that of their label.

    Args:
        model: a classifier. Its logits are the first output of shape (n_samples, n_classes).
        batches: (inputs, labels), with a whole number for each sample.

    Raises:
        NoLabels: if a batch has no class labels, or the model puts out no logits for them.
        ValueError: if there is no batch.

    Example:
        >>> import torch
        >>> accuracy(nn.Identity(), [(torch.eye(4), torch.tensor([0, 1, 2, 0]))])
        0.75
    """
    right, seen = 0, 0
    with evaluating(model):
        for batch in batches:
            labels = _labels(batch)
            right += int((_logits(forward(model, batch), labels).argmax(1) == labels.to("cpu")).sum())
            seen += len(labels)
    if not seen:
        raise ValueError("accuracy needs data, and got no batch")
    return right / seen


def _labels(batch: Any) -> Tensor:
    labels = batch[1] if isinstance(batch, list | tuple) and len(batch) > 1 else None
    if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise NoLabels(
            "accuracy needs batches (inputs, labels), with the class of each sample as a whole number; "
            f"got {_described(batch)}"
        )
    return labels


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return "inputs alone"
    if isinstance(batch, list | tuple) and len(batch) > 1 and isinstance(batch[1], Tensor):
        kind = str(batch[1].dtype).removeprefix("torch.")
        return f"labels of shape {tuple(batch[1].shape)}, {kind}"
    return f"a {type(batch).__name__} without labels"


def _logits(output: Any, labels: Tensor) -> Tensor:
    found = next((one for one in numbers(output) if one.ndim == 2 and len(one) == len(labels)), None)
    if found is None:
        shapes = ", ".join(str(tuple(one.shape)) for one in numbers(output)) or "no numbers"
        raise NoLabels(
            f"accuracy needs one row of logits for each of {len(labels):,} samples; the model puts out {shapes}"
        )
    if not bool((labels < found.shape[1]).all()):
        raise NoLabels(f"a label is {int(labels.max())}, but the model tells {found.shape[1]} classes apart")
    return found.cpu()
