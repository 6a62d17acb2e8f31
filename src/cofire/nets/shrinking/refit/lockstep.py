"""Run a network and its smaller copy over all batches side by side, refitting each reader as they come to it."""

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...loading.batches import forward
from ...surgery.copies import computed
from ...surgery.cut_groups import named_tensors
from ..contraction import Contraction
from ..watching import Watch, in_thread, running
from .residuals import Residual


class _Stopped(BaseException):
    """The pass was given up."""


@dataclass
class Waiting:
    """A pass that has come to a reader.

    Attributes:
        reader: the parameter's name.
        one: how it takes its data in.
        output: what it put out; None in the smaller network, which waits before it runs it.
        added: what its output will be added to; None if it goes into no sum.
    """

    reader: str
    one: Contraction
    output: Tensor | None
    added: Tensor | None


class _Run:
    """A forward pass that stops at each reader that is to be refitted, in a thread of its own."""

    def __init__(
        self, net: nn.Module, batch: Any, stops: set[str], residuals: Mapping[str, Residual], *, after: bool
    ) -> None:
        self._work: tuple[nn.Module, Any] | None = net, batch
        self._stops, self._residuals, self._after = stops, residuals, after
        self._watch: Watch | None = None
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.waiting: Waiting | None = None
        self.error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._main, daemon=True)

    def resume(self) -> None:
        """Go on until the next reader or the end."""
        self.waiting = None
        if self._thread.ident is None:
            self._thread.start()
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def give_up(self) -> None:
        """End the thread."""
        self._given_up = True
        self._go.release()
        if self._thread.ident is not None:
            self._thread.join()

    def _main(self) -> None:
        self._go.acquire()
        try:
            if not self._given_up:
                assert self._work is not None
                net, batch = self._work
                remember = {one.operation for one in self._residuals.values()}
                self._watch = Watch(net, self._see, remember=remember)
                with in_thread(), self._watch:
                    forward(net, batch)
        except _Stopped:
            pass
        except BaseException as error:  # it is raised where the pass was resumed
            self.error = error
        self._work = self._watch = None
        self._back.release()

    def _see(self, name: str, one: Contraction, run: Callable[[], Tensor]) -> Tensor:
        if self._given_up:  # the model's code caught what ended it
            raise _Stopped
        if name not in self._stops:
            return run()
        output = run() if self._after else None
        self.waiting = Waiting(name, one, output, self._added(name))
        self._back.release()
        self._go.acquire()
        if self._given_up:
            raise _Stopped
        return run() if output is None else output

    def _added(self, name: str) -> Tensor | None:
        """Return what the product's output will be added to."""
        residual = self._residuals.get(name)
        if residual is None or self._watch is None:
            return None
        reference = self._watch.outputs.get(residual.operation)
        return None if reference is None else reference()


Solve = Callable[[str, Sequence[tuple[int, Waiting, Waiting]]], None]


def in_lockstep(
    nets: tuple[nn.Module, nn.Module],
    batches: Iterable[Any],
    readers: Sequence[str],
    solve: Solve,
    residuals: Mapping[str, Residual],
) -> None:
    """Run two networks over all batches at once, stopping at each reader.

    Every pass is in a thread of its own, and one runs at a time. So each network runs once over the data, however
    many readers there are, and no more is kept than what the passes hold where they stand.

    Args:
        nets: the network as it was, and the smaller one, whose weights ``solve`` changes in place.
        batches: the data.
        readers: names of the parameters to stop at, in the order of the network.
        solve: called at each reader with its name and, for each batch in which both networks use it, the batch's
            number and both passes.
        residuals: for readers whose outputs are added to something, what that is.
    """
    stops, rank = set(readers), {name: k for k, name in enumerate(readers)}
    runs: list[tuple[_Run, _Run]] = []
    with running(nets[0]):
        try:
            for batch in batches:
                first, second = (_Run(_own(net), batch, stops, residuals, after=net is nets[0]) for net in nets)
                runs.append((first, second))
            for one in [one for pair in runs for one in pair]:
                one.resume()
            while waiting := [one for pair in runs for one in pair if one.waiting is not None]:
                name = min((one.waiting.reader for one in waiting if one.waiting), key=rank.__getitem__)
                solve(name, _at(name, runs))
                stops.discard(name)
                for one in waiting:
                    if one.waiting and one.waiting.reader == name:
                        one.resume()
        finally:
            for one in [one for pair in runs for one in pair]:
                one.give_up()


def _at(name: str, runs: Iterable[tuple[_Run, _Run]]) -> list[tuple[int, Waiting, Waiting]]:
    """Return the passes of batches in which both networks have come to a reader."""
    pairs = [(k, first.waiting, second.waiting) for k, (first, second) in enumerate(runs)]
    return [(k, a, b) for k, a, b in pairs if a and b and a.reader == b.reader == name]


def _own(net: nn.Module) -> nn.Module:
    """Return a copy that shares all tensors: what a pass keeps in attributes is its own."""
    return copy.deepcopy(net, {**computed(net), **{id(one): one for one in named_tensors(net).values()}})
