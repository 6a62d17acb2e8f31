"""`sweep`: run tasks in processes or on a Dask cluster, and store their rows."""

import os
import platform
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any, Literal

from ...record.runs.rows import Row
from .experiment import Experiment
from .task_results import Results, State
from .tasks import DATA_ROOT, Task

Backend = Literal["processes", "dask"]
Work = tuple[Experiment, Task]


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
    tell: Callable[[Done], object] = lambda done: None,
) -> list[Done]:
    """Run the unfinished tasks, each on one thread, and write each one's rows as it ends.

    A failed task is stored with its error, and the others continue. A second call runs the tasks that an interrupted
    sweep did not finish, and retries failed ones.

    Args:
        work: experiments and their tasks.
        results: results to write to, opened with ``write=True``.
        jobs: number of processes; 1 runs the tasks in this one.
        backend: ``"processes"`` (joblib's), or ``"dask"``.
        scheduler: address of a Dask scheduler, such as ``"tcp://host:8786"``.
        data_root: folder of the data sets, on every machine that runs tasks.
        tell: called with each task that has ended.

    Returns:
        The tasks that were run.

    Raises:
        ValueError: if ``jobs`` is below 1, ``backend`` is unknown, or ``scheduler`` does not fit ``backend``.
        ImportError: if joblib or Dask is not installed.
    """
    if jobs < 1:
        raise ValueError(f"the number of jobs must be at least 1, got {jobs}")
    if backend not in ("processes", "dask"):
        raise ValueError(f"backend must be 'processes' or 'dask', got {backend!r}")
    if (backend == "dask") != (scheduler is not None):
        raise ValueError(f"backend 'dask' needs a scheduler address and 'processes' takes none, got {scheduler!r}")
    waiting = list({task.id: (experiment, task) for experiment, task in work if not results.finished(task)}.values())
    in_processes = scheduler is None
    outcomes = _in_processes(waiting, jobs, data_root) if in_processes else _on_dask(waiting, scheduler, data_root)
    ended: list[Done] = []
    for task, rows, state in outcomes:
        ended.append(Done(task, _kept(results, task, rows, state), len(ended) + 1, len(waiting)))
        tell(ended[-1])
    return ended


def _kept(results: Results, task: Task, rows: Sequence[Row], state: State) -> State:
    """Write the rows; the task fails if they cannot be its own."""
    try:
        results.finish(task, rows, state)
    except ValueError as error:
        state = state._replace(error=f"ValueError: {error}")
        results.finish(task, [], state)
    return state


Outcome = tuple[Task, Sequence[Row], State]


def _in_processes(waiting: Sequence[Work], jobs: int, data_root: str | None) -> Iterator[Outcome]:
    """Yield the tasks' outcomes as they end.

    A process that dies breaks its pool. Each task that was running then gets a pool of its own: if that dies too, the
    task is to blame. A new pool runs the rest.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    left = {task.id: (experiment, task) for experiment, task in waiting}
    while left:
        begun: list[Work] = []
        try:
            for outcome in _pool(_noted(list(left.values()), begun), jobs, data_root):
                del left[outcome[0].id]
                yield outcome
        except BrokenProcessPool:
            for suspect in [one for one in begun if one[1].id in left]:
                try:
                    outcome = next(_pool([suspect], 2, data_root))  # one job would run in this very process
                except BrokenProcessPool as error:
                    outcome = _dead(suspect[1], error)
                del left[suspect[1].id]
                yield outcome


def _noted(work: Iterable[Work], begun: list[Work]) -> Iterator[Work]:
    for one in work:
        begun.append(one)
        yield one


def _pool(work: Iterable[Work], jobs: int, data_root: str | None) -> Iterator[Outcome]:
    from joblib import Parallel, delayed, parallel_config

    calls = (delayed(run_task)(experiment.run, task, data_root) for experiment, task in work)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        # One task at a time for each process: tasks may take hours, and one that waited would be lost with the process.
        one_by_one: Any = {"batch_size": 1}  # joblib annotates it as text only
        pool: Any = Parallel(pre_dispatch="n_jobs", return_as="generator_unordered", **one_by_one)
        yield from pool(calls)


def _dead(task: Task, error: Exception) -> Outcome:
    return task, [], State(f"its process died: {error}", 0.0, platform.node())


def _on_dask(waiting: Sequence[Work], scheduler: str, data_root: str | None) -> Iterator[Outcome]:
    """Yield the tasks' outcomes as they end.

    Dask reruns the tasks of a lost worker on another one, and gives up tasks that were on several workers that died.
    One of these is to blame, but others may just have waited in its queue, so each gets one more try, alone. joblib's
    Dask backend would wait forever for the result of such a task, so it is not used.
    """
    from distributed import Client, KilledWorker

    suspects: list[Work] = []
    with Client(scheduler, set_as_default=False) as client:
        for one, future in _submitted(client, waiting, data_root):
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                suspects.append(one)
            else:
                yield _outcome(one, future)
        for suspect in suspects:
            yield from (_outcome(one, future) for one, future in _submitted(client, [suspect], data_root))


def _submitted(client: Any, work: Sequence[Work], data_root: str | None) -> Iterator[tuple[Work, Any]]:
    """Yield each piece of work with its future as it ends."""
    from distributed import as_completed

    futures = {client.submit(run_task, one[0].run, one[1], data_root, pure=False): one for one in work}
    for future in as_completed(futures, loop=client.loop):
        yield futures[future], future


def _outcome(work: Work, future: Any) -> Outcome:
    return _dead(work[1], future.exception()) if future.status == "error" else future.result()


def run_task(run: Callable[[Task], Iterable[Row]], task: Task, data_root: str | None) -> Outcome:
    """Run one task in this process, on one thread; an error becomes part of its state."""
    import torch

    if data_root is not None:
        os.environ[DATA_ROOT] = data_root
    threads, begin, error, rows = torch.get_num_threads(), process_time(), None, []
    torch.set_num_threads(1)
    try:
        rows = list(run(task))
    except Exception:
        error = traceback.format_exc()
    finally:
        torch.set_num_threads(threads)
    return task, rows, State(error, process_time() - begin, platform.node())
