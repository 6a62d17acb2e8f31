"""Run a network and its smaller copy over all batches side by side, refitting each reader as they come to it."""

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..loading.batches import forward
from ..surgery.cut_groups import named_tensors
from .contraction import Contraction
from .watching import Watch, in_thread, running


class _Stopped(BaseException):
    """The pass was given up."""


@dataclass
class Waiting:
    """A pass that has come to a reader.

    Attributes:
        reader: the parameter's name.
        one: how it takes its data in.
        output: what it put out; None in the smaller network, which waits before it runs it.
    """

    reader: str
    one: Contraction
    output: Tensor | None


class _Run:
    """A forward pass that stops at each reader that is to be refitted, in a thread of its own."""

    def __init__(self, net: nn.Module, batch: Any, stops: set[str], *, after: bool) -> None:
        self._work: tuple[nn.Module, Any] | None = net, batch
        self._stops, self._after = stops, after
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.waiting: Waiting | None = None
        self.error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Go on until the next reader or the end."""
        self.waiting = None
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def give_up(self) -> None:
        """End the thread."""
        self._given_up = True
        self._go.release()
        self._thread.join()

    def _main(self) -> None:
        self._go.acquire()
        try:
            if not self._given_up:
                assert self._work is not None
                net, batch = self._work
                with in_thread(), Watch(net, self._see):
                    forward(net, batch)
        except _Stopped:
            pass
        except BaseException as error:  # it is raised where the pass was resumed
            self.error = error
        self._work = None
        self._back.release()

    def _see(self, name: str, one: Contraction, run: Callable[[], Tensor]) -> Tensor:
        if self._given_up:  # the model's code caught what ended it
            raise _Stopped
        if name not in self._stops:
            return run()
        output = run() if self._after else None
        self.waiting = Waiting(name, one, output)
        self._back.release()
        self._go.acquire()
        if self._given_up:
            raise _Stopped
        return run() if output is None else output


Solve = Callable[[str, Sequence[tuple[int, Waiting, Waiting]]], None]


def in_lockstep(
    nets: tuple[nn.Module, nn.Module], batches: Iterable[Any], readers: Sequence[str], solve: Solve
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
    """
    stops, rank = set(readers), {name: k for k, name in enumerate(readers)}
    runs: list[tuple[_Run, _Run]] = []
    with running(nets[0]):
        _run(nets, batches, stops, rank, solve, runs)


def _run(
    nets: tuple[nn.Module, nn.Module],
    batches: Iterable[Any],
    stops: set[str],
    rank: Mapping[str, int],
    solve: Solve,
    runs: list[tuple[_Run, _Run]],
) -> None:
    try:
        for batch in batches:
            runs.append((_Run(_own(nets[0]), batch, stops, after=True), _Run(_own(nets[1]), batch, stops, after=False)))
        for pair in runs:
            for one in pair:
                one.resume()
        while waiting := [one for pair in runs for one in pair if one.waiting is not None]:
            name = min((one.waiting.reader for one in waiting if one.waiting), key=rank.__getitem__)
            here = [
                (k, first.waiting, second.waiting)
                for k, (first, second) in enumerate(runs)
                if first.waiting and second.waiting and first.waiting.reader == second.waiting.reader == name
            ]
            solve(name, here)
            stops.discard(name)
            del here
            for one in waiting:
                if one.waiting and one.waiting.reader == name:
                    one.resume()
    finally:
        for pair in runs:
            for one in pair:
                one.give_up()


def _own(net: nn.Module) -> nn.Module:
    """Return a copy that shares all tensors: what a pass keeps in attributes is its own."""
    shared: Mapping[int, Any] = {id(one): one for one in named_tensors(net).values()}
    return copy.deepcopy(net, dict(shared))
