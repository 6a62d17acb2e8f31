"""Capture the activations of chosen layers while a model runs, without changing the model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from ..layer_names import first_names, named_layers, unwrap
from ..layers.sample_rows import rows
from ..layers.sites import Asked, Site, Stage, sites
from .captured import Activations
from .forward_pass import Pass, Record
from .padding_masks import Mask, reader
from .recorder import Recorder
from .row_store import Store, nothing_pending

T = TypeVar("T")


class Capture(Generic[T]):
    """A capture that is switched on and off; `capture` is the same as a context manager.

    While it is off, the model carries no hook. A capture sees only the thread that attached it. While any capture is
    on, compiled models run uncompiled, so that hooks see their layers.

    Args:
        model: the network, or a part of it; it may be compiled or wrapped.
        pattern: the sites, as for `sites`.
        stage: "post" (after the activation function) or "pre".
        mask: which samples count. A (batch, time) bool tensor, True for keep; or a callable (args, kwargs) of
            the model's call that returns one, or None for all; or the name of an argument of its forward. An
            argument whose name ends in ``padding_mask`` is read as PyTorch means it, True for ignore.
        into: makes an empty state, such as ``Moments``, that takes batches: ``state = state.update(rows)``.
        pool_positions: average over the positions of a feature map instead of taking each as a sample.
        when: asked each time a layer runs whether to capture it; by default every run is captured.

    Raises:
        ValueError: if a pattern matches nothing, or both mask and pool_positions are given.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> recording = Capture(model, "0")
        >>> for step in range(4):
        ...     if step % 2 == 0:
        ...         recording.attach()
        ...     _ = model(torch.ones(5, 8))
        ...     recording.detach()
        >>> {str(site): x.shape for site, x in recording.take().items()}
        {'0': torch.Size([10, 4])}
    """

    def __init__(
        self,
        model: nn.Module,
        pattern: Asked = "*",
        *,
        stage: Stage = "post",
        mask: Mask | None = None,
        into: Callable[[], T] | None = None,
        pool_positions: bool = False,
        when: Callable[[], bool] | None = None,
    ) -> None:
        if mask is not None and pool_positions:
            raise ValueError("pass mask or pool_positions, not both: a mask is for positions that are samples")
        self._model = unwrap(model)
        self._sites = sites(model, pattern, stage=stage)
        self._pool_positions = pool_positions
        self._fired: set[Site] = set()
        both = len({site.stage for site in self._sites}) > 1
        self._store = Store[T](into, both, first_names(named_layers(model)), dict(self._sites.left_out))
        self._recorder = Recorder(
            self._model,
            self._sites,
            read_mask=None if mask is None else reader(mask, self._model),
            emit=self._add,
            leave_out=self._store.left_out.__setitem__,
            when=when,
        )

    def __repr__(self) -> str:
        return f"Capture({', '.join(map(str, self._sites))}; {'attached' if self.attached else 'detached'})"

    @property
    def sites(self) -> Sequence[Site]:
        """The sites to capture."""
        return self._sites

    @property
    def left_out(self) -> Mapping[str, str]:
        """Layers that are not captured, with the reason."""
        return self._store.left_out

    @property
    def attached(self) -> bool:
        """Whether the capture is on."""
        return self._recorder.attached

    @property
    def activations(self) -> Activations[T]:
        """The activations captured since the last `take`."""
        return Activations(self._store)

    def attach(self) -> None:
        """Switch on.

        Raises:
            RuntimeError: if it is on already.
        """
        if self.attached:
            raise RuntimeError("this capture is attached already; detach it first")
        self._recorder.attach()
        self._store.settle = self._recorder.settle

    def detach(self) -> None:
        """Switch off, and take every hook off the model; does nothing if the capture is off."""
        if self.attached:
            self._store.settle = nothing_pending
            self._recorder.detach()

    def take(self) -> dict[Site, T]:
        """Return what was captured, and empty the capture."""
        self._store.settle()
        return self._store.take()

    def check(self) -> None:
        """Check that every site has fired.

        Raises:
            RuntimeError: with the names of those that have not, and the usual reasons.
        """
        self._store.settle()
        silent = [str(s) for s in self._sites if s not in self._fired and s.layer not in self._store.left_out]
        if silent:
            raise RuntimeError(
                f"never ran while captured: {', '.join(silent)}. Either the model was not called in this thread, or "
                "it does not call these modules: a layer is unused, a weight is used without its module (tied "
                "weights), or module.forward is called directly. Ask for other layers, or leave these out with '!name'."
            )

    def _add(self, shown: Pass) -> None:
        for record in shown.records:
            self._store.add(record.site, self._rows(record, shown.mask))
            self._fired |= {record.site, record.site.at_call(None)}

    def _rows(self, record: Record, mask: Tensor | None) -> Tensor:
        if self._pool_positions and record.n_position_axes:
            return rows(record.samples.mean(dim=tuple(range(-1 - record.n_position_axes, -1))))
        return record.rows(mask, self._model)


@contextmanager
def capture(
    model: nn.Module,
    pattern: Asked = "*",
    *,
    stage: Stage = "post",
    mask: Mask | None = None,
    into: Callable[[], Any] | None = None,
    pool_positions: bool = False,
) -> Iterator[Activations[Any]]:
    """Capture the outputs of a model's layers while the block runs.

    Args: as for `Capture`.

    Yields:
        A mapping from layer names to (n_samples, n_units) tensors, the batches of all forward passes in the
        block concatenated; with ``into``, to states. A layer that ran several times in one pass is
        ``name#0``, ``name#1``, ...

    Raises:
        ValueError: if a pattern matches nothing.
        RuntimeError: when the block ends, if a site never ran.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> with capture(model, "0") as activations:
        ...     _ = model(torch.ones(5, 8))
        >>> activations["0"].shape, bool(activations["0"].min() >= 0)
        (torch.Size([5, 4]), True)
    """
    taking = Capture(model, pattern, stage=stage, mask=mask, into=into, pool_positions=pool_positions)
    taking.attach()
    try:
        yield taking.activations
    finally:
        taking.detach()
    taking.check()
