"""Run a model without changing it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..wiring.fake_copy import random_states_kept


def to_eval_mode(model: nn.Module) -> None:
    """Switch to evaluation mode, except for programs of ``torch.export``, whose mode is fixed."""
    try:
        model.eval()
    except NotImplementedError:
        for child in model.children():
            to_eval_mode(child)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients for a block; restore modes and random generators after it.

    A ``DataLoader`` draws from the generators, and so may the model: without this, measuring would change training.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        with random_states_kept(model), torch.no_grad():
            to_eval_mode(model)
            yield
    finally:
        # Not model.train(): modules may be in different modes, as frozen batch normalization is.
        for module, training in modes:
            module.training = training
