"""Lightning: a callback that tracks a fit, and a mixin that adds a penalty to its loss."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..nets.penalties import Penalty
from .callback_tracker import TrackingCallback
from .metric_names import name

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError('this needs lightning; install it with: pip install "cofire[lightning]"') from error


class NeuronCallback(TrackingCallback, Callback):
    """Tracks a ``fit`` with a `cofire.Tracker` of the LightningModule, stepped after each optimizer step.

    Numbers go to all loggers of the trainer, under ``cofire/<layer>/<quantity>`` and at the number of optimizer steps,
    and into ``trainer.callback_metrics``, so that ``EarlyStopping`` and ``ModelCheckpoint`` can monitor them. They are
    not printed. The run's directory and the sink get all rows. The tracker's state is saved in each checkpoint, and a
    resumed fit continues from it. Sanity checks, validation, testing and prediction are not recorded. No hook stays on
    the model after a fit, even one that fails.

    Args:
        measures: as for `Tracker`; by default `cofire.record.correlation()`. Their ``sites`` are layers of the
            LightningModule, such as ``"net.*"``.
        run, overwrite, every, sink, probe, window, max_samples, seed, mask, budget: as for `Tracker`.
        quantities: which numbers to log; see `cofire.integrations.logged_numbers.LoggedNumbers`. By default one per
            measure and layer, and three of the run.

    Raises:
        ValueError: for an unknown quantity; when the fit begins, for another wrong argument or a site pattern that
            matches no layer.

    Example:
        >>> callback = NeuronCallback(every=100)
        >>> trainer = Trainer(callbacks=[callback], logger=False, barebones=True)
    """

    # on_train_start rather than on_fit_start: the sanity check is over, and global_step is that of the checkpoint.
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin tracking."""

        def log(numbers: Mapping[str, float], step: int) -> None:
            trainer.callback_metrics.update({key: torch.tensor(value) for key, value in numbers.items()})
            for logger in trainer.loggers:
                logger.log_metrics(dict(numbers), step=step)

        self._begin(pl_module, log, step=trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        """Record if an optimizer step was made."""
        self._reach(trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record what is due at the end of an epoch."""
        self._end_epoch()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the hooks."""
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hooks; Lightning calls nothing else after an exception."""
        self.close()


class PenaltyMixin:
    """Adds a penalty to a LightningModule's loss; put it before ``LightningModule`` among the bases.

    Define `make_penalty`, and add ``self.penalty()`` to the loss that ``training_step`` returns. The penalty opens when
    a fit begins and closes when it ends or fails; its number of steps is saved in the checkpoint. The sum is one loss,
    so gradient accumulation, clipping and mixed precision apply to it as usual: with accumulation the penalty is the
    mean over the small batches, and under autocast its arithmetic stays in float32.

    Each layer's unweighted penalty is logged as ``cofire/<layer>/penalty``.

    Example:
        >>> from torch import nn
        >>> from cofire import CorrelationPenalty
        >>> class Net(PenaltyMixin, LightningModule):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
        ...     def make_penalty(self):
        ...         return CorrelationPenalty(self.net, "0", weight=0.1)
        ...     def training_step(self, batch, batch_idx):
        ...         x, y = batch
        ...         return nn.functional.cross_entropy(self.net(x), y) + self.penalty()
    """

    @abstractmethod
    def make_penalty(self) -> Penalty:
        """Return the penalty; called when a fit begins."""

    def penalty(self) -> Tensor:
        """Return the weighted penalty of the last forward pass, to add to the loss.

        Raises:
            RuntimeError: outside of a fit.
        """
        if (penalty := self._life.penalty) is None:
            raise RuntimeError("no penalty is open; call penalty() in training_step, during a fit")
        term = penalty()
        self.log_dict({name(site, "penalty"): value for site, value in penalty.values.items()})  # type: ignore[attr-defined]
        return term

    def configure_callbacks(self) -> list[Callback]:
        """Return the model's own callbacks and one that opens and closes the penalty."""
        return [*super().configure_callbacks(), self._life]  # type: ignore[misc]

    @property
    def _life(self) -> "_PenaltyLife":
        # Made on first use: an __init__ of the mixin would depend on the user's class calling it.
        return self.__dict__.setdefault("_penalty_life", _PenaltyLife())


class _PenaltyLife(Callback):
    """Opens the penalty of a `PenaltyMixin` when a fit begins, and closes it when the fit ends or fails."""

    def __init__(self) -> None:
        self.penalty: Penalty | None = None
        self._n_steps = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()
        penalty: Penalty = pl_module.make_penalty()  # type: ignore[operator]
        penalty.n_steps = self._n_steps
        self.penalty = penalty

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def state_dict(self) -> dict[str, Any]:
        return {"n_steps": self.penalty.n_steps if self.penalty else self._n_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._n_steps = state_dict["n_steps"]

    def _close(self) -> None:
        penalty, self.penalty = self.penalty, None
        if penalty is not None:
            self._n_steps = penalty.n_steps
            penalty.close()
