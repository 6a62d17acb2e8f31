"""`Tracker`: takes measures in any training loop."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import nn

from ..nets.capturing.padding_masks import Mask
from .across_processes import group_of, training_batches
from .arguments import Sink, check_objects, check_seed, check_whole
from .budget import Budget, Overhead, budget_of
from .late_arrays import LateArrays
from .measures import Measure, Statistic, as_measures
from .probe import Probe
from .recording import Found, Plan, Taken, Task, all_sites, model_facts, take
from .runs.rows import Array, Row
from .runs.run_directory import WritableRun
from .schedule import GeometricSteps, Schedule, as_schedule

OFTEN_AT_FIRST = GeometricSteps(1.1)


class Tracker:
    """Records measures of a model while it trains.

    Call `step` after each optimizer step, and `end_epoch` after each epoch::

        with cofire.Tracker(model, measures=[correlation()], run="runs/a", every=100) as tracker:
            for x, y in batches:
                ...
                optimizer.step()
                tracker.step()

    Samples come from the training batches themselves, without a further forward pass: hooks are attached
    only for steps at which something may be due, and only forward passes in training mode count. What is
    recorded at step k then comes from the forward pass of that step, before its update; weights are read
    after it. With ``probe``, samples come from that fixed set, run in eval mode after the update, with the
    model's modes, buffers and the random generators left as they were; step 0, before training, is recorded
    too.

    Layers that yield many rows (positions of images, tokens) keep ``max_samples`` of them, a uniform random
    choice by a generator of the tracker's own.

    Args:
        model: the model.
        measures: `Measure`s, or plain functions from samples (n_samples, n_units) to a number or a mapping
            of numbers.
        run: where rows go: a directory, created if absent, or an open run. None: to the sink alone.
        every: the schedule of the measures that have none: ``10``, ``"epoch"``, a list of steps, or a
            `Schedule`; by default steps spaced geometrically, by a tenth.
        sink: also given the rows of each recording: any callable; one whose ``takes_arrays`` is true is called
            with rows and arrays, as `Rows` is.
        probe: a tensor of inputs or a collection of batches.
        window: training batches whose samples are put together; with a probe it must be 1.
        max_samples: rows kept per site and batch, or per site and probe set.
        seed: written into the rows, and the seed of the choice of rows.
        mask: which samples count, as for `cofire.capture`: the name of an argument of the model's forward, such as
            ``"attention_mask"``, or a callable.
        synchronize: take the batches of all processes, or of those of a process group, together. Each step at which
            something is due then has a collective, which all must reach; the group's time-out says how long they
            wait. Rows are the same on all, and written by the first alone. Each keeps its share of ``max_samples``.
        budget: the share of the time of training that the tracker may cost, such as 0.02. What is due and cannot be
            paid for waits; wide layers are looked at by some of their units (`some_units`). Which steps are recorded
            then depends on the clock. `overhead` and the rows ``overhead`` tell what was used.
        state: the ``state_dict()`` of an earlier tracker, to go on from there; as `load_state_dict`, but with a
            probe step 0 is not recorded again.

    Raises:
        ValueError: for a wrong argument, no measure, or a site pattern that matches nothing.
        RunLocked: if another writer holds the directory.

    Example:
        >>> import torch
        >>> from cofire.record import correlation
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
        >>> seen = []
        >>> with Tracker(model, measures=[correlation()], every=2, sink=seen.extend) as tracker:
        ...     for _ in range(4):
        ...         loss = model(torch.randn(32, 4)).sum()  # and a step of the optimizer
        ...         tracker.step()
        >>> sorted({row.step for row in seen})
        [2, 4]
    """

    def __init__(
        self,
        model: nn.Module,
        measures: Iterable[Measure | Statistic],
        *,
        run: str | Path | WritableRun | None = None,
        every: Schedule | int | str | Iterable[int] = OFTEN_AT_FIRST,
        sink: Sink | None = None,
        probe: Any = None,
        window: int = 1,
        max_samples: int = 10_000,
        seed: int = 0,
        mask: Mask | None = None,
        synchronize: "bool | dist.ProcessGroup" = False,
        budget: float | Budget | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        check_whole("window", window)
        check_whole("max_samples", max_samples)
        check_seed(seed)
        check_objects(model, run, sink)
        if probe is not None and window != 1:
            raise ValueError(f"a window is of training batches; with a probe it must be 1, got {window}")
        if budget is not None and (window != 1 or synchronize is not False):
            raise ValueError("a budget goes with a window of 1 and one process; each would decide by its own clock")
        self._budget = budget_of(budget)
        self._plan = Plan.of(model, as_measures(measures), as_schedule(every))
        self.group = group_of(synchronize)
        self._source = (
            training_batches(model, self.group, window=window, max_samples=max_samples, seed=seed, mask=mask)
            if probe is None
            else Probe(model, probe, max_samples=max_samples, seed=seed, mask=mask)
        )
        self._window = window
        if self.group is not None and dist.get_rank(self.group) > 0:
            # The rows are the same on all processes; one of them writes.
            run, sink = None, sink if getattr(sink, "on_every_process", False) else None
        self._sink = sink
        self._sink_takes_arrays = bool(getattr(sink, "takes_arrays", False))
        self._seed = seed
        self._step = self._epoch = 0
        self._closed = False
        self._taken: set[Taken] = set()  # at this step
        self._late = LateArrays()
        self._owned = WritableRun(run) if isinstance(run, str | Path) else None
        self._run = self._owned if isinstance(run, str | Path) else run
        self._begin(model, state)

    def __repr__(self) -> str:
        measures = ", ".join(task.measure.name for task in self._plan.tasks)
        where = f", run={str(self._run.directory)!r}" if self._run is not None else ""
        return f"Tracker(step={self._step}, epoch={self._epoch}, measures=[{measures}]{where})"

    def _begin(self, model: nn.Module, state: Mapping[str, Any] | None) -> None:
        self._waiting = self._run is not None and self._run.begun
        if self._run is not None:
            self._run.describe(
                model=model_facts(model),
                measures=[task.measure.identity for task in self._plan.tasks],
                left_out=dict(self._plan.left_out),
            )
        self._budget.begin(self._plan)
        if state is not None:
            self.load_state_dict(state)
        if self._waiting or state is not None:
            return
        if isinstance(self._source, Probe):
            self._record(self._plan.due(0))
        self._arm()

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self._step

    @property
    def epochs(self) -> int:
        """Epochs so far."""
        return self._epoch

    @property
    def overhead(self) -> Overhead | None:
        """What was used of the budget so far; None without one."""
        return self._budget.overhead

    def step(self) -> None:
        """An optimizer step is over: record what is due.

        Raises:
            ValueError: if no site that is due saw a forward pass, the tracker is closed, or the run's directory holds
                an earlier run's rows and `load_state_dict` was not called.
            OSError: if the rows cannot be written.
        """
        self._refuse_unless_open()
        with self._budget.spending():
            self._step += 1
            self._taken.clear()
            self._source.advance(self._step)
            self._record(self._budget.affordable(self._plan.due(self._step)))
            self._arm()

    def end_epoch(self) -> None:
        """An epoch is over: record what is due at its end."""
        self._refuse_unless_open()
        self._epoch += 1
        self._record(self._budget.at_epoch_end(self._plan.due(self._step, epoch_end=True)))

    def log(self, **numbers: Any) -> None:
        """Record numbers of the whole run, such as ``loss``, at the current step.

        Raises:
            ValueError: if one is no number, nor a tensor of one.
        """
        self._refuse_unless_open()
        values = {name: _number(name, number) for name, number in numbers.items()}
        self._write([self._row("", name, "{}", value, 0) for name, value in values.items()], [])

    def _refuse_unless_open(self) -> None:
        if self._closed:
            raise ValueError("this tracker is closed; make another, with state=tracker.state_dict() to go on from here")
        if self._waiting and self._run is not None:
            raise ValueError(
                f"{self._run.directory} holds an earlier run, up to step {self._run.table.last_step()}; "
                "resume it (load_state_dict, or cofire.record.resumable), or choose another directory"
            )

    def _arm(self) -> None:
        """Have the source watch the coming step, if it may be wanted by then or within the window."""
        coming = range(self._step + 1, self._step + 1 + self._window)
        wanted = self._budget.watched(self._plan, coming)
        if wanted:
            self._source.arm(wanted, self._step + 1)

    def _record(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        wanted = all_sites(tasks)
        samples = self._source.collect(wanted, self._step) if wanted else {}
        rows: list[Row] = []
        arrays: list[Array] = []
        for task in tasks:
            found = take(task, samples, self._taken)
            rows += self._rows(found)
            if task.measure.arrays is not None and self._keeps_arrays:
                arrays += self._late.recorded(task.measure, partial(_arrays, self._name, self._step, found))
        if (overhead := self._budget.overhead) is not None:
            rows.append(self._row("", "overhead", "{}", overhead.share, 0))
        self._write(rows, arrays)

    def _write(self, rows: list[Row], arrays: list[Array]) -> None:
        if self._run is not None:
            self._run.table(rows, arrays)
        if self._sink is not None and (rows or self._sink_takes_arrays):
            self._sink(rows, *([arrays] if self._sink_takes_arrays else []))

    @property
    def _keeps_arrays(self) -> bool:
        return self._run is not None or self._sink_takes_arrays

    def _rows(self, found: Iterable[Found]) -> list[Row]:
        return [
            self._row(one.site, name, one.parameters, value, one.n_samples)
            for one in found
            for name, value in one.values.items()
        ]

    def _row(self, site: str, measure: str, parameters: str, value: float, n_samples: int) -> Row:
        return Row(self._name, self._step, self._epoch, site, measure, parameters, value, n_samples, self._seed)

    @property
    def _name(self) -> str:
        return self._run.name if self._run is not None else ""

    def finish(self) -> None:
        """Training is over: write the arrays of the last recordings too."""
        arrays = self._late.take()
        if arrays:
            self._write([], arrays)

    def close(self) -> None:
        """Finish, take hooks away, and let go of a directory that the tracker opened itself.

        So the last arrays are kept however the training ended, short of a kill. A second call does nothing.
        """
        self._closed = True
        self._source.close()
        try:
            self.finish()
        finally:
            if self._owned is not None:
                self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """Where the tracker stands, for a checkpoint."""
        return {
            "step": self._step,
            "epoch": self._epoch,
            "arrays": self._late.state_dict(),
            "source": self._source.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; rows of later steps in the run are dropped, for they will be recorded anew."""
        self._step, self._epoch = state["step"], state["epoch"]
        self._taken.clear()
        waiting = self._late.load_state_dict(state["arrays"], run=self._name)
        self._source.close()
        self._source.load_state_dict(state["source"])
        if self._run is not None:
            self._run.table.drop_after(self._step)
            # An earlier process that ended there took them for the last.
            self._run.table.drop_arrays(waiting)
        self._waiting = False
        self._arm()


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        got = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise ValueError(f"log takes numbers, got {got} for {name!r}; give its mean, for instance") from None


def _arrays(run: str, step: int, found: Iterable[Found]) -> list[Array]:
    return [Array(run, step, one.site, name, value) for one in found for name, value in one.arrays().items()]
