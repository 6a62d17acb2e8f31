"""`Tracker`: records measures in any training loop."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import nn

from ..nets.capturing.first_pass import FirstPass
from ..nets.capturing.padding_masks import Mask
from ..nets.layers.layer_weights import known_layers
from ..nets.wiring.live_wiring import live_wiring
from ..stats._base.display import html_facts
from .across_processes import group_of, training_batches
from .arguments import Sink, check_objects, check_overwrite, check_seed, check_whole
from .budget import Budget, Overhead, budget_of
from .late_arrays import LateArrays
from .measures import Measure, Statistic, as_measures, default_measures
from .measures.measure import Shared
from .probe import Probe
from .recording import Found, Plan, Taken, Task, model_facts, requests_of, take
from .runs.last_numbers import last_numbers
from .runs.rows import Array, Row
from .runs.run_directory import TABLE, FollowingRun, WritableRun
from .runs.starting_over import how_to_start_over
from .schedule import GeometricSteps, Schedule, as_schedule

OFTEN_AT_FIRST = GeometricSteps(1.1)


class Tracker:
    """Records measures of a model while it trains.

    Call `step` after each optimizer step, and `end_epoch` after each epoch::

        with cofire.Tracker(model, run="runs/a", every=100) as tracker:
            for x, y in batches:
                ...
                optimizer.step()
                tracker.step()

    Samples come from the training batches themselves, without an extra forward pass: hooks are attached only for steps
    at which something may be due, and only forward passes in training mode count. The numbers of step k then come from
    the forward pass of that step, before its update; weights are read after it. With ``probe``, samples come from that
    fixed set, run in eval mode after the update, which leaves the model's modes and buffers and the random generators
    unchanged; step 0, before training, is recorded too. Rows say which it was (``mode``).

    Layers that yield many rows (positions of images, tokens) keep ``max_samples`` of them, a uniform random choice by
    the tracker's own generator.

    Args:
        model: the model.
        measures: `Measure`s, or plain functions from samples (n_samples, n_units) to a number or a mapping
            of numbers. By default `correlation` of all layers, and `weight_correlation` if any has weights.
        run: where rows go: a directory, created if absent, or an open run. ``"runs/auto"`` is a new directory each
            time: ``runs/run-1``, ``runs/run-2``, ... None: to the sink only.
        overwrite: remove an earlier run of the directory, for a script that is run again.
        every: the schedule of measures without one of their own: ``10``, ``"epoch"``, a list of steps, or a
            `Schedule`; by default geometric steps, each a tenth larger than the last.
        sink: any callable; it also gets the rows of each recording. If its ``takes_arrays`` is true, it is called with
            rows and arrays, as `Rows` is.
        probe: a tensor of inputs or a collection of batches.
        window: number of training batches whose samples are pooled; with a probe it must be 1.
        max_samples: rows kept per site and batch, or per site and probe set.
        seed: seed of the choice of rows; the rows state it.
        mask: which samples count, as for `cofire.capture`: the name of an argument of the model's forward, such as
            ``"attention_mask"``, or a callable.
        per_call: record the calls of a layer within one pass apart, as ``name#0``, ``name#1``; else they are pooled.
        synchronize: pool the batches of all processes, or of those of a process group. Each step at which something is
            due then has a collective that all must reach; they wait as long as the group's time-out allows. Rows are
            the same on all processes, and the first one writes them. Each keeps its share of ``max_samples``.
        budget: the share of training time that the tracker may cost, such as 0.02. Recordings that don't fit wait, and
            wide layers are sampled by some of their units. Which steps are recorded then depends on the clock.
            `overhead` and the rows ``overhead`` say how much was used.
        state: the ``state_dict()`` of an earlier tracker, to continue from. As `load_state_dict`, except that with a
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
        measures: Iterable[Measure | Statistic] | None = None,
        *,
        run: str | Path | WritableRun | None = None,
        overwrite: bool = False,
        every: Schedule | int | str | Iterable[int] = OFTEN_AT_FIRST,
        sink: Sink | None = None,
        probe: Any = None,
        window: int = 1,
        max_samples: int = 10_000,
        seed: int = 0,
        mask: Mask | None = None,
        per_call: bool = False,
        synchronize: "bool | dist.ProcessGroup" = False,
        budget: float | Budget | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        check_objects(model, run, sink)
        check_overwrite(overwrite, run, state)
        check_seed(seed)
        _check_samples(window, max_samples, probe, single=budget is not None, together=synchronize is not False)
        self._budget = budget_of(budget)
        self._plan = Plan.of(
            model, default_measures(model) if measures is None else as_measures(measures), as_schedule(every)
        )
        self.group = group_of(synchronize)
        self._source = (
            training_batches(
                model, self.group, window=window, max_samples=max_samples, seed=seed, mask=mask, per_call=per_call
            )
            if probe is None
            else Probe(model, probe, max_samples=max_samples, seed=seed, mask=mask, per_call=per_call)
        )
        self._window = window
        follows = self.group is not None and dist.get_rank(self.group) > 0
        if follows:
            # The rows are the same on all processes, so only one writes them.
            run = FollowingRun(run) if isinstance(run, str | Path) else run
            sink = sink if getattr(sink, "on_every_process", False) else None
        self._sink = sink
        self._sink_takes_arrays = bool(getattr(sink, "takes_arrays", False))
        self._seed = seed
        self._step = self._epoch = 0
        self._closed = False
        self._described = -1
        self._taken: set[Taken] = set()  # at this step, by the step and by the end of an epoch
        self._late = LateArrays()
        self._owned = WritableRun(run, overwrite=overwrite) if isinstance(run, str | Path) else None
        self._given = self._owned if isinstance(run, str | Path) else run
        self._run = None if follows or isinstance(self._given, FollowingRun) else self._given
        self._first_pass = self._started(model, state)

    def __repr__(self) -> str:
        measures = ", ".join(task.measure.name for task in self._plan.tasks)
        where = f", run={str(self._run.directory)!r}" if self._run is not None else ""
        return f"Tracker(step={self._step}, epoch={self._epoch}, measures=[{measures}]{where})"

    def _repr_html_(self) -> str:
        facts = {"step": f"{self._step:,}", "epoch": f"{self._epoch:,}"}
        facts["measures"] = ", ".join(task.measure.name for task in self._plan.tasks)
        if self._run is None:
            return html_facts("Tracker", facts.items())
        facts["run"] = str(self._run.directory)
        return html_facts("Tracker", facts.items()) + last_numbers(self._run.directory / TABLE)

    def _started(self, model: nn.Module, state: Mapping[str, Any] | None) -> FirstPass:
        """Begin or go on; if that fails, leave no hook on the model and no lock on the directory."""
        try:
            self._begin(model, state)
            return FirstPass(self._plan.model)
        except BaseException:
            self._source.release()
            if self._owned is not None:
                self._owned.close()
            raise

    def _begin(self, model: nn.Module, state: Mapping[str, Any] | None) -> None:
        self._waiting = self._run is not None and self._run.begun
        if not self._waiting:  # what can't be resumed stays as it is
            self._describe_plan()
        self._budget.begin(self._plan)
        if state is not None:
            self.load_state_dict(state)
        if self._waiting or state is not None:
            return
        if isinstance(self._source, Probe):
            self._record(self._plan.due(0))
        self._arm()

    @property
    def run(self) -> WritableRun | None:
        """The run that rows go to; None if they go to the sink only."""
        return self._given

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
        """How much of the budget was used so far; None without one."""
        return self._budget.overhead

    def step(self) -> None:
        """Count an optimizer step and record what is due.

        Raises:
            ValueError: if no site that is due saw a forward pass, the tracker is closed, or the run's directory has
                rows of an earlier run and `load_state_dict` was not called.
            OSError: if the rows cannot be written.
        """
        self._refuse_unless_open()
        with self._budget.spending():
            self._step += 1
            self._taken.clear()
            self._source.advance(self._step)
            self._first_pass.end_if_seen()
            try:
                self._record(self._budget.affordable(self._plan.due(self._step)))
            finally:
                self._arm()  # so that a loop that catches the error, for instance of a full disk, is still recorded

    def end_epoch(self) -> None:
        """Count an epoch and record what is due at its end."""
        self._refuse_unless_open()
        self._epoch += 1
        self._record(self._budget.at_epoch_end(self._plan.due(self._step, epoch_end=True)))

    def log(self, mode: str = "", /, **numbers: Any) -> None:
        """Record numbers of the whole run, such as ``loss``, at the current step.

        Args:
            mode: ``"train"`` or ``"eval"``, if the rows are to say where the numbers come from.
            **numbers: by name.

        Raises:
            ValueError: if one is neither a number nor a tensor with one element.
        """
        self._refuse_unless_open()
        values = {name: _number(name, number) for name, number in numbers.items()}
        self._write([self._row("", name, value, mode=mode) for name, value in values.items()], [])

    def _refuse_unless_open(self) -> None:
        if self._closed:
            raise ValueError("this tracker is closed; make another, with state=tracker.state_dict() to continue")
        if self._waiting and self._run is not None:
            raise ValueError(
                f"{self._run.directory} holds an earlier run, up to step {self._run.table.last_step()}; "
                f"{how_to_start_over(self._run.directory)}; load_state_dict or cofire.record.resumable continue it"
            )

    def _arm(self) -> None:
        """Have the source watch the coming step, if its samples may be needed then or within the window."""
        coming = range(self._step + 1, self._step + 1 + self._window)
        wanted = self._budget.watched(self._plan, coming)
        if wanted:
            self._source.arm(wanted, self._step + 1)

    def _record(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        wanted = requests_of(tasks)
        samples = self._source.collect(wanted, self._step) if wanted else {}
        self._describe_layers()
        rows: list[Row] = []
        arrays: list[Array] = []
        shared: Shared = {}
        for task in tasks:
            found = take(task, self._plan.inputs(task, samples), self._taken, shared)
            mode = "" if task.measure.stage == "weights" else self._source.mode
            rows += [row for one in found for row in self._rows(one, mode)]
            if task.measure.arrays is not None and (self._run is not None or self._sink_takes_arrays):
                make = partial(_arrays, self._name, self._step, mode, found)
                arrays += self._late.recorded(task.measure, make)
        if (overhead := self._budget.overhead) is not None:
            rows.append(self._row("", "overhead", overhead.share, unit=""))
        self._write(rows, arrays)

    def _describe_plan(self) -> None:
        """Add to the run which model is measured, and how."""
        if self._run is not None:
            measures = [task.measure.identity for task in self._plan.tasks]
            self._run.describe(model=model_facts(self._plan.model), measures=measures)

    def _describe_layers(self) -> None:
        """Add to the run what passes of the model have shown of its layers."""
        if self._run is None or self._described == (version := live_wiring(self._plan.model).version):
            return
        layers = known_layers(self._plan.model)
        assumed = {layer.module: layer.assumed for layer in layers if layer.assumed}
        outputs = [layer.module for layer in layers if layer.is_output]
        self._run.describe(left_out=dict(self._plan.sites.left_out), assumed=assumed, outputs=outputs)
        self._described = version

    def _write(self, rows: list[Row], arrays: list[Array]) -> None:
        if self._run is not None:
            self._run.table(rows, arrays)
        if self._sink is not None and (rows or self._sink_takes_arrays):
            self._sink(rows, *([arrays] if self._sink_takes_arrays else []))

    def _rows(self, found: Found, mode: str) -> list[Row]:
        facts: dict[str, Any] = {"parameters": found.parameters, "n_samples": found.n_samples, "mode": mode}
        facts |= {"n_units_seen": found.n_units_seen, "n_units": found.n_units}
        return [
            self._row(found.site, name, value, unit=found.measure.unit_of(name), **facts)
            for name, value in found.values.items()
        ]

    def _row(
        self, site: str, measure: str, value: float, *, parameters: str = "{}", n_samples: int = 0, **facts: Any
    ) -> Row:
        place = self._name, self._step, self._epoch, site
        return Row(*place, measure, parameters, value, n_samples, self._seed, **facts)

    @property
    def _name(self) -> str:
        return self._run.name if self._run is not None else ""

    def finish(self) -> None:
        """Write the arrays of the last recordings too: training is over."""
        arrays = self._late.take()
        if arrays:
            self._write([], arrays)

    def close(self) -> None:
        """Finish, remove hooks, let the model go, and close a directory that the tracker opened itself.

        This keeps the last arrays however training ended, unless the process was killed. A second call does nothing.
        """
        self._closed = True
        self._source.release()
        self._first_pass.end()
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
        """Return the tracker's state, for a checkpoint."""
        return {
            "step": self._step,
            "epoch": self._epoch,
            "seed": self._seed,
            "arrays": self._late.state_dict(),
            "source": self._source.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; rows of later steps are removed from the run, as they will be recorded again.

        Raises:
            ValueError: if it is that of a tracker with another seed.
        """
        if (seed := state.get("seed", self._seed)) != self._seed:
            raise ValueError(
                f"the state is that of a tracker with seed={seed}, and this one has seed={self._seed}; give the same"
            )
        self._step, self._epoch = state["step"], state["epoch"]
        self._taken.clear()
        waiting = self._late.load_state_dict(state["arrays"], run=self._name)
        self._source.close()
        self._source.load_state_dict(state["source"])
        if self._run is not None:
            self._run.table.drop_after(self._step)
            # A process that ended here wrote them as the arrays of its last recording.
            self._run.table.drop_arrays(waiting)
        self._waiting = False
        self._describe_plan()
        self._arm()


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        got = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
        raise ValueError(f"log takes numbers, got {got} for {name!r}; give its mean, for instance") from None


def _arrays(run: str, step: int, mode: str, found: Iterable[Found]) -> list[Array]:
    return [Array(run, step, one.site, name, value, mode) for one in found for name, value in one.arrays().items()]


def _check_samples(window: int, max_samples: int, probe: object, *, single: bool, together: bool) -> None:
    """Check the options that say which samples are measured.

    Args:
        window: as for `Tracker`.
        max_samples: likewise.
        probe: likewise.
        single: whether there is a budget, which one process keeps for single steps.
        together: whether processes are synchronized.
    """
    check_whole("window", window)
    check_whole("max_samples", max_samples)
    if probe is not None and window != 1:
        raise ValueError(f"window pools training batches; with a probe it must be 1, got {window}")
    if single and (window != 1 or together):
        raise ValueError("budget requires window=1 and a single process; leave out budget, or window and synchronize")
