"""Capture: the activations of chosen layers while a model runs, and nothing of the model changed."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import get_ident
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .activations import Follower
from .eager import eager
from .kinds import Kind, captured_as, following, looks_like_activation
from .masks import Mask, is_time_first, keep, reader
from .names import first_names, named_layers, unwrap
from .patterns import Pattern
from .results import Activations
from .sites import Site, Stage, sites
from .store import Store
from .units import describe, first_floating, rows, units_last


T = TypeVar("T")
Asked = Pattern | Site | Sequence[Pattern | Site]


@dataclass
class _Record:
    """One call of one site within a pass: samples with the units on the last axis."""

    site: Site
    module: nn.Module
    samples: Tensor
    n_position_axes: int

    def replace(self, unit_axis: int, activation: Tensor) -> None:
        self.samples = units_last(activation, unit_axis)


@dataclass
class _Pass:
    """What one forward pass of the model has shown so far."""

    mask: Tensor | None = None
    records: list[_Record] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Layer:
    """A module with the sites that are wanted of it."""

    name: str
    module: nn.Module
    kind: Kind
    sites: tuple[Site, ...]

    def wanted(self, stage: Stage, call: int) -> list[Site]:
        return [site for site in self.sites if site.stage == stage and site.call in (None, call)]


class _Hook:
    """A hook that a copied or pickled model does not take along."""

    def __init__(self, run: Callable[..., None]) -> None:
        self._run = run

    def __call__(self, *args: Any) -> None:
        self._run(*args)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _no_hook, ()


def _no_hook() -> Callable[..., None]:
    return _nothing


def _nothing(*args: Any) -> None:
    """The hook of a copy."""


class Capture(Generic[T]):
    """A capture that can be switched on and off; `capture` is the same as a context manager.

    While it is off the model carries no hook. It belongs to the thread that attached it: what the model does in
    other threads is not seen.

    Args:
        model: the network, or a part of it; compiled or wrapped is the same.
        pattern: the sites, as for `sites`.
        stage: "post" (after the activation function) or "pre".
        mask: which samples count: a (batch, time) bool tensor, True is keep; or a callable (args, kwargs) of the
            model's call that returns one or None; or the name of an argument of the model's forward. An argument
            whose name ends in ``padding_mask`` is read as PyTorch means it, True is ignore.
        into: makes an empty state, such as ``Moments``, that takes each batch by ``state = state.update(rows)``.
        pool_positions: average the positions of a feature map instead of taking each as a sample.

    Example:
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
    ) -> None:
        if mask is not None and pool_positions:
            raise ValueError(
                "give either mask or pool_positions: a mask says which positions are samples of their own"
            )
        self._model = unwrap(model)
        self._asked = sites(model, pattern, stage=stage)
        self._layers = _layers(model, self._asked)
        self._read_mask = None if mask is None else reader(mask, self._model)
        self._pool_positions = pool_positions
        stages = {site.stage for site in self._asked}
        self._store = Store[T](
            into, len(stages) > 1, first_names(named_layers(model)), dict(self._asked.left_out)
        )
        self._follower = Follower(
            tracks_axes=any(layer.kind.unit_axis is following for layer in self._layers)
        )
        self._fired: set[Site] = set()
        self._handles: list[RemovableHandle] = []
        self._pass = _Pass()
        self._depth = 0
        self._thread: int | None = None
        self._handled: BaseException | None = None

    @property
    def sites(self) -> Sequence[Site]:
        """What is captured."""
        return self._asked

    @property
    def left_out(self) -> Mapping[str, str]:
        """Layers that are not, with the reason."""
        return self._store.left_out

    @property
    def attached(self) -> bool:
        """Whether it is on."""
        return self._thread is not None

    @property
    def activations(self) -> Activations[T]:
        """What was captured since the last `take`."""
        return Activations(self._store, self._settle)

    def attach(self) -> None:
        """Switch on.

        Raises:
            RuntimeError: if it is on already.
        """
        if self.attached:
            raise RuntimeError("this capture is attached already; detach it first")
        self._thread, self._depth, self._pass = get_ident(), 0, _Pass()
        eager.enter()
        self._follower.__enter__()
        self._hook_all()

    def detach(self) -> None:
        """Switch off, and take every hook off the model; if it is off, nothing happens."""
        if not self.attached:
            return
        self._thread = None
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._follower.leave()
        eager.leave()
        self._settle()

    def take(self) -> dict[Site, T]:
        """What was captured so far, after which the capture is empty again."""
        self._settle()
        return self._store.take()

    def check(self) -> None:
        """Raise if a site has not fired yet.

        Raises:
            RuntimeError: with the names of those sites and the usual reasons.
        """
        self._settle()
        silent = [str(s) for s in self._asked if s not in self._fired and s.layer not in self._store.left_out]
        if silent:
            raise RuntimeError(
                f"never ran while captured: {', '.join(silent)}. Either the model was not called in this thread, or it "
                "does not call these modules (a layer that is not used, a weight used without its module, as where weights "
                "are tied, a call of module.forward). Ask for other layers, or take these away with '!name'."
            )

    def _hook_all(self) -> None:
        add = self._handles.append
        add(self._model.register_forward_pre_hook(_Hook(self._begin), with_kwargs=True))
        for layer in self._layers:
            if layer.kind.is_activation and any(site.stage == "pre" for site in layer.sites):
                add(
                    layer.module.register_forward_pre_hook(
                        _Hook(partial(self._starts, layer)), with_kwargs=True
                    )
                )
            add(layer.module.register_forward_hook(_Hook(partial(self._ran, layer))))
        if any(site.stage == "post" for site in self._asked):
            self._hook_own_activations()
        add(self._model.register_forward_hook(_Hook(self._end), always_call=True))

    def _hook_own_activations(self) -> None:
        """Activation functions that users wrote as modules count as a whole, whatever they call inside."""
        for module in self._model.modules():
            if looks_like_activation(module):
                claimed: list[Any] = []
                before, after = partial(self._enters, claimed), partial(self._leaves, claimed)
                self._handles.append(module.register_forward_pre_hook(_Hook(before), with_kwargs=True))
                self._handles.append(module.register_forward_hook(_Hook(after), always_call=True))

    def _elsewhere(self) -> bool:
        """In another thread, or in a backward pass that recomputes a checkpointed forward pass."""
        return get_ident() != self._thread or torch._C._current_graph_task_id() != -1

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self._elsewhere():
            return
        self._depth += 1
        if self._depth == 1:
            self._settle_pass()
            self._handled = sys.exception()
            self._pass.mask = self._read_mask(args, kwargs) if self._read_mask else None

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        if self._elsewhere():
            return
        self._depth -= 1
        if self._depth == 0 and sys.exception() is self._handled:
            self._settle_pass()
        elif self._depth == 0:
            self._pass = _Pass()

    def _starts(
        self, layer: _Layer, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        x = first_floating((*args, *kwargs.values()))
        if self._elsewhere() or x is None:
            return
        call = self._pass.calls[layer.name]
        self._note(layer, layer.wanted("pre", call), call, x)

    def _ran(self, layer: _Layer, module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        if self._elsewhere():
            return
        x = first_floating(output)
        if x is None:
            self._store.left_out[layer.name] = f"its output is {describe(output)}"
            return
        call = self._next_call(layer)
        stages: tuple[Stage, ...] = ("post",) if layer.kind.is_activation else ("pre", "post")
        records = self._note(layer, [site for stage in stages for site in layer.wanted(stage, call)], call, x)
        if not layer.kind.is_activation:
            applied = [
                partial(one.replace, self._unit_axis(layer, x)) for one in records if one.site.stage == "post"
            ]
            self._follower.follow(x, applied)

    def _next_call(self, layer: _Layer) -> int:
        if self._depth == 0 and layer.name in self._pass.calls:
            self._settle_pass()
        self._pass.calls[layer.name] += 1
        return self._pass.calls[layer.name] - 1

    def _note(self, layer: _Layer, wanted: list[Site], call: int, x: Tensor) -> list[_Record]:
        if not wanted:
            return []
        unit_axis = self._unit_axis(layer, x)
        samples = units_last(x, unit_axis)
        records = [_Record(site.at_call(call), layer.module, samples, -unit_axis - 1) for site in wanted]
        self._pass.records.extend(records)
        return records

    def _unit_axis(self, layer: _Layer, x: Tensor) -> int:
        """Counted from the end."""
        axis = layer.sites[0].unit_axis
        axis = layer.kind.unit_axis(layer.module, x) if axis is None else axis
        axis = self._follower.unit_axis(x) if axis is None else axis
        return axis - x.ndim if axis >= 0 else axis

    def _enters(
        self, claimed: list[Any], module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        x = first_floating((*args, *kwargs.values()))
        claimed[:] = [] if x is None or self._elsewhere() else self._follower.claimed(x)
        self._follower.suspend()

    def _leaves(self, claimed: list[Any], module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        self._follower.resume()
        if isinstance(output, Tensor):
            for applied in claimed:
                applied(output)
        claimed.clear()

    def _settle(self) -> None:
        """Outside a forward pass of the model, what single layers have shown is complete."""
        if self._depth == 0:
            self._settle_pass()

    def _settle_pass(self) -> None:
        shown, self._pass = self._pass, _Pass()
        self._follower.clear()
        for record in shown.records:
            self._store.add(record.site, self._rows(record, shown.mask))
            self._fired |= {record.site, record.site.at_call(None)}

    def _rows(self, record: _Record, mask: Tensor | None) -> Tensor:
        samples = record.samples
        if self._pool_positions and record.n_position_axes:
            samples = samples.mean(dim=tuple(range(-1 - record.n_position_axes, -1)))
        if mask is None:
            return rows(samples)
        shape = tuple(samples.shape[:-1])
        kept = keep(
            samples, mask, time_first=is_time_first(record.module, self._model, shape=shape, mask=mask)
        )
        if kept is None:
            raise ValueError(
                f"the mask of shape {tuple(mask.shape)} does not fit {record.site}, whose samples have shape {shape}; "
                f"take the layer away with '!{record.site.layer}', or capture it on its own without a mask"
            )
        return samples[kept]


def _layers(model: nn.Module, asked: Sequence[Site]) -> list[_Layer]:
    modules = named_layers(model)
    wanted: dict[str, list[Site]] = {}
    for site in asked:
        wanted.setdefault(site.layer, []).append(site)
    return [
        _Layer(name, modules[name], captured_as(modules[name]), tuple(of_it))
        for name, of_it in wanted.items()
    ]


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
    """Capture what the model's layers put out while the block runs.

    Args: as for `Capture`.

    Yields:
        A mapping from layer names to (n_samples, n_units) tensors, the batches of all forward passes in the block
        concatenated; with ``into``, to states. A layer that ran several times in one pass is ``name#0``, ``name#1``.

    Raises:
        ValueError: if a pattern matches nothing.
        RuntimeError: on leaving, if a site never ran.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> with capture(model, "0") as activations:
        ...     _ = model(torch.randn(5, 8))
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
