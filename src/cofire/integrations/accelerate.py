"""Accelerate: a sink that passes a tracker's rows to the trackers of an ``Accelerator``."""

from collections.abc import Mapping

import numpy as np

from .logged_numbers import Quantities
from .loggers.sink import LoggerSink

try:
    from accelerate import Accelerator
except ImportError as error:
    raise ImportError('this needs accelerate; install it with: pip install "cofire[accelerate]"') from error


class AccelerateSink(LoggerSink):
    """Logs a tracker's rows with ``accelerator.log``, under ``cofire/<layer>/<quantity>`` and at the tracker's step.

    Step the tracker where the optimizer made a step. With several processes, give it ``synchronize=True``.

    Args:
        accelerator: the accelerator; call its ``init_trackers`` before training.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`.
        images: also log correlation matrices to TensorBoard and W&B; see `LoggerSink`.

    Example:
        >>> import torch, cofire
        >>> from accelerate import Accelerator
        >>> accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
        >>> model = torch.nn.Linear(8, 4)
        >>> data = torch.utils.data.DataLoader(torch.randn(64, 8), batch_size=16)
        >>> model, optimizer, data = accelerator.prepare(model, torch.optim.SGD(model.parameters()), data)
        >>> with cofire.Tracker(model, [cofire.record.correlation()], sink=AccelerateSink(accelerator)) as tracker:
        ...     for x in data:
        ...         with accelerator.accumulate(model):
        ...             accelerator.backward(model(x).square().mean())
        ...             optimizer.step()
        ...             optimizer.zero_grad()
        ...         if accelerator.sync_gradients:
        ...             tracker.step()
        >>> tracker.steps
        2
    """

    def __init__(self, accelerator: Accelerator, *, quantities: Quantities = None, images: bool = False) -> None:
        super().__init__(quantities, images=images)
        self._accelerator = accelerator

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        self._accelerator.log(dict(numbers), step=step)

    def _log_image(self, name: str, image: np.ndarray, step: int) -> None:
        for tracker in self._accelerator.trackers:
            if tracker.name == "tensorboard":
                tracker.log_images({name: image[None]}, step=step, dataformats="NHWC")
            elif tracker.name == "wandb":
                tracker.log_images({name: [image]}, step=step)
