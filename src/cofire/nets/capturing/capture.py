"""Capture the activations of chosen layers while a model runs, without changing the model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from ..layer_names import first_names, named_layers, unwrap
from ..layers.sample_rows import rows
from ..layers.sites import Asked, Request, Site, Sites, Stage, exact_sites
from ..layers.sites import check as check_requests
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
        pattern: the sites, as for `sites`; or a list of `Request`.
        stage: "post" (after the activation function) or "pre".
        mask: which samples count. A (batch, time) bool tensor, True for keep; or a callable (args, kwargs) of
            the model's call that returns one, or None for all; or the name of an argument of its forward. An
            argument whose name ends in ``padding_mask`` is read as PyTorch means it, True for ignore.
        into: makes an empty state, such as ``Moments``, that takes batches: ``state = state.update(rows)``.
        pool_positions: average over the positions of a feature map instead of taking each as a sample.
        per_call: keep the calls of a layer within one pass apart, as ``name#0``, ``name#1``; else they are pooled.
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
        pattern: "Asked | Sequence[Request]" = "*",
        *,
        stage: Stage = "post",
        mask: Mask | None = None,
        into: Callable[[], T] | None = None,
        pool_positions: bool = False,
        per_call: bool = False,
        when: Callable[[], bool] | None = None,
    ) -> None:
        if mask is not None and pool_positions:
            raise ValueError("pass mask or pool_positions, not both: a mask is for positions that are samples")
        self._model = unwrap(model)
        requests = _requests(pattern, stage)
        check_requests(self._model, requests)
        self._pool_positions, self._per_call = pool_positions, per_call
        self._fired: set[Site] = set()
        self._store = Store[T](into, first_names(named_layers(model)))
        self._recorder = Recorder(
            self._model,
            requests,
            read_mask=None if mask is None else reader(mask, self._model),
            emit=self._add,
            leave_out=self._store.failed.__setitem__,
            resolved=self._resolved,
            when=when,
        )
        self._exact = exact_sites(self._model, requests)

    def __repr__(self) -> str:
        sites = ", ".join(map(str, self.sites)) or "no pass seen yet"
        return f"Capture({sites}; {'attached' if self.attached else 'detached'})"

    @property
    def sites(self) -> Sites:
        """The sites to capture; they are known once the model has run."""
        return self._recorder.sites

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
        """Check that all sites that were asked for by name have fired, and that any has.

        Raises:
            RuntimeError: with the names of those that have not, and the usual reasons.
            ValueError: if all that ran could not be read, with the reasons.
        """
        self._store.settle()
        known = {site.layer: self.left_out.get(site.layer) for site in self._exact}
        named = [site for site in self._exact if site not in self._fired and known[site.layer] in (None, "never ran")]
        ran = self._fired or self._store.failed or self._recorder.n_passes
        silent = [str(site) for site in named] or ([] if ran else ["all layers"])
        if silent:
            raise RuntimeError(
                f"never ran while captured: {', '.join(silent)}. Either the model was not called in this thread, or "
                "it does not call these modules: a layer is unused, a weight is used without its module (tied "
                "weights), or module.forward is called directly. Ask for other layers, or leave these out with '!name'."
            )
        if not self._fired:
            known = self._store.failed or self.left_out
            reasons = "; ".join(f"{name or 'the model'}: {reason}" for name, reason in known.items())
            raise ValueError(f"no layer could be captured ({reasons or 'the model has no layers'})")

    def _resolved(self, sites: Sites) -> None:
        self._store.resolved(sites)
        self._store.aliases = first_names(named_layers(self._model))

    def _add(self, shown: Pass) -> None:
        for record in shown.records:
            once = record.site.at_call(None)
            asked_alone = {record.site, once} & set(self._recorder.sites) == {record.site}
            try:
                site = record.site if self._per_call or asked_alone else once
                self._store.add(site, self._rows(record, shown.mask))
            except ValueError as error:  # this runs inside the user's forward, which goes on
                self._store.failed[record.site.layer] = str(error)
                continue
            self._fired |= {record.site, once}

    def _rows(self, record: Record, mask: Tensor | None) -> Tensor:
        if self._pool_positions and record.n_position_axes:
            return rows(record.samples.mean(dim=tuple(range(-1 - record.n_position_axes, -1))))
        return record.rows(mask, self._model)


def _requests(pattern: Any, stage: Stage) -> list[Request]:
    several = isinstance(pattern, list | tuple) and bool(pattern) and all(isinstance(one, Request) for one in pattern)
    return list(pattern) if several else [Request(pattern, stage)]


@contextmanager
def capture(
    model: nn.Module,
    pattern: Asked = "*",
    *,
    stage: Stage = "post",
    mask: Mask | None = None,
    into: Callable[[], Any] | None = None,
    pool_positions: bool = False,
    per_call: bool = False,
) -> Iterator[Activations[Any]]:
    """Capture the outputs of a model's layers while the block runs.

    Args: as for `Capture`.

    Yields:
        A mapping from layer names to (n_samples, n_units) tensors, the batches of all forward passes in the
        block concatenated; with ``into``, to states. The calls of a layer that ran several times in one pass are
        pooled, or apart as ``name#0``, ``name#1`` with ``per_call``.

    Raises:
        ValueError: if a pattern matches nothing.
        RuntimeError: when the block ends, if a layer that was asked for by name never ran, or none did.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> with capture(model, "0") as activations:
        ...     _ = model(torch.ones(5, 8))
        >>> activations["0"].shape, bool(activations["0"].min() >= 0)
        (torch.Size([5, 4]), True)
    """
    taking = Capture(
        model, pattern, stage=stage, mask=mask, into=into, pool_positions=pool_positions, per_call=per_call
    )
    taking.attach()
    try:
        yield taking.activations
    finally:
        taking.detach()
    taking.check()
