"""`sweep`: run tasks in processes or on a Dask cluster, and store their rows."""

import platform
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...record.runs.rows import Row
from .experiment import Experiment
from .task_context import Place, check_device, running_at
from .task_results import Results, State
from .tasks import Task

Backend = Literal["processes", "dask"]
Work = tuple[Experiment, Task]
Call = tuple[Experiment, Task, Place]


@dataclass(frozen=True)
class Done:
    """A task that has just ended, and the progress of the sweep.

    Attributes:
        task: the task.
        state: its error, if any, and its processor time.
        done: number of tasks that have ended in this sweep.
        total: number of tasks in this sweep, without those finished before.
    """

    task: Task
    state: State
    done: int
    total: int


def sweep(
    work: Sequence[Work],
    results: Results,
    *,
    jobs: int = 1,
    backend: Backend = "processes",
    scheduler: str | None = None,
    data_root: str | None = None,
    device: str = "cpu",
    tell: Callable[[Done], object] = lambda done: None,
) -> list[Done]:
    """Run the unfinished tasks, each on one thread, and write each one's rows as it ends.

    A failed task is stored with its error, and the others continue. A second call runs the tasks that an interrupted
    sweep did not finish, and retries failed ones. A task that was interrupted goes on from its checkpoint.

    Args:
        work: experiments and their tasks.
        results: results to write to, opened with ``write=True``.
        jobs: number of processes; 1 runs the tasks in this one.
        backend: ``"processes"`` (joblib's), or ``"dask"``.
        scheduler: address of a Dask scheduler, such as ``"tcp://host:8786"``.
        data_root: folder of the data sets, on every machine that runs tasks.
        device: where networks train: ``"cpu"``, ``"cuda"`` or ``"cuda:<number>"``.
        tell: called with each task that has ended.

    Returns:
        The tasks that were run.

    Raises:
        ValueError: if ``jobs`` is below 1, ``backend`` is unknown, ``scheduler`` does not fit ``backend``, or this
            machine runs the tasks and doesn't have the device.
        ImportError: if joblib or Dask is not installed.
    """
    if jobs < 1:
        raise ValueError(f"the number of jobs must be at least 1, got {jobs}")
    if backend not in ("processes", "dask"):
        raise ValueError(f"backend must be 'processes' or 'dask', got {backend!r}")
    if (backend == "dask") != (scheduler is not None):
        raise ValueError(f"backend 'dask' needs a scheduler address and 'processes' takes none, got {scheduler!r}")
    in_processes = scheduler is None
    if in_processes:
        check_device(device)
    place = Place(device, data_root)
    waiting = _waiting(work, results, place)
    outcomes = _in_processes(waiting, jobs) if in_processes else _on_dask(waiting, scheduler)
    ended: list[Done] = []
    for task, rows, state in outcomes:
        ended.append(Done(task, _kept(results, task, rows, state), len(ended) + 1, len(waiting)))
        tell(ended[-1])
    return ended


def _waiting(work: Sequence[Work], results: Results, place: Place) -> list[Call]:
    """Return the unfinished tasks, each once, with where it runs and keeps its state."""
    return [
        (experiment, task, replace(place, checkpoint=results.checkpoint(task, device=place.kind).resolve()))
        for experiment, task in {task.id: (experiment, task) for experiment, task in work}.values()
        if not results.finished(task, device=place.kind)
    ]


def _kept(results: Results, task: Task, rows: Sequence[Row], state: State) -> State:
    """Write the rows and remove the checkpoint of a finished task; it fails if the rows cannot be its own."""
    try:
        results.finish(task, rows, state)
    except ValueError as error:
        state = state._replace(error=f"ValueError: {error}")
        results.finish(task, [], state)
    if state.error is None:
        results.checkpoint(task, device=state.device).unlink(missing_ok=True)
    return state


Outcome = tuple[Task, Sequence[Row], State]


def _in_processes(waiting: Sequence[Call], jobs: int) -> Iterator[Outcome]:
    """Yield the tasks' outcomes as they end.

    A process that dies breaks its pool. Each task that was running then gets a pool of its own: if that dies too, the
    task is to blame. A new pool runs the rest.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    left = {call[1].id: call for call in waiting}
    while left:
        begun: list[Call] = []
        try:
            for outcome in _pool(_noted(list(left.values()), begun), jobs):
                del left[outcome[0].id]
                yield outcome
        except BrokenProcessPool:
            for suspect in [one for one in begun if one[1].id in left]:
                try:
                    outcome = next(_pool([suspect], 2))  # one job would run in this very process
                except BrokenProcessPool as error:
                    outcome = _dead(suspect, error)
                del left[suspect[1].id]
                yield outcome


def _noted(calls: Iterable[Call], begun: list[Call]) -> Iterator[Call]:
    for one in calls:
        begun.append(one)
        yield one


def _pool(calls: Iterable[Call], jobs: int) -> Iterator[Outcome]:
    from joblib import Parallel, delayed, parallel_config

    delayed_calls = (delayed(run_task)(experiment.run, task, place) for experiment, task, place in calls)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        # One task at a time for each process: tasks may take hours, and one that waited would be lost with the process.
        one_by_one: Any = {"batch_size": 1}  # joblib annotates it as text only
        pool: Any = Parallel(pre_dispatch="n_jobs", return_as="generator_unordered", **one_by_one)
        yield from pool(delayed_calls)


def _dead(call: Call, error: Exception) -> Outcome:
    return call[1], [], State(f"its process died: {error}", 0.0, platform.node(), call[2].kind)


def _on_dask(waiting: Sequence[Call], scheduler: str) -> Iterator[Outcome]:
    """Yield the tasks' outcomes as they end.

    Dask reruns the tasks of a lost worker on another one, and gives up tasks that were on several workers that died.
    One of these is to blame, but others may just have waited in its queue, so each gets one more try, alone. joblib's
    Dask backend would wait forever for the result of such a task, so it is not used.
    """
    from distributed import Client, KilledWorker

    suspects: list[Call] = []
    with Client(scheduler, set_as_default=False) as client:
        for one, future in _submitted(client, waiting):
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                suspects.append(one)
            else:
                yield _outcome(one, future)
        for suspect in suspects:
            yield from (_outcome(one, future) for one, future in _submitted(client, [suspect]))


def _submitted(client: Any, calls: Sequence[Call]) -> Iterator[tuple[Call, Any]]:
    """Yield each call with its future as it ends."""
    from distributed import as_completed

    futures = {client.submit(run_task, one[0].run, *one[1:], pure=False): one for one in calls}
    for future in as_completed(futures, loop=client.loop):
        yield futures[future], future


def _outcome(call: Call, future: Any) -> Outcome:
    return _dead(call, future.exception()) if future.status == "error" else future.result()


def run_task(run: Callable[[Task], Iterable[Row]], task: Task, place: Place) -> Outcome:
    """Run one task in this process, on one thread; an error becomes part of its state."""
    import torch

    threads, seconds, error, rows = torch.get_num_threads(), 0.0, None, []
    torch.set_num_threads(1)
    try:
        with running_at(place) as elapsed:
            try:
                rows = list(run(task))
            finally:
                seconds = elapsed()
    except Exception:
        error = traceback.format_exc()
    finally:
        torch.set_num_threads(threads)
    return task, rows, State(error, seconds, platform.node(), place.kind)
