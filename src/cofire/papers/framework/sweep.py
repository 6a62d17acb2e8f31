"""`sweep`: runs tasks in processes, or on a Dask cluster, and keeps what each recorded."""

import os
import platform
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any, Literal

from ...record.runs.rows import Row
from ..training.datasets import DATA_ROOT
from .experiment import Experiment
from .task_results import Results, State
from .tasks import Task

_ONE_BY_ONE: Any = {"batch_size": 1}  # joblib's own annotation says text only

Backend = Literal["processes", "dask"]
Work = tuple[Experiment, Task]


@dataclass(frozen=True)
class Done:
    """A task that has just ended, and how far the sweep is.

    Attributes:
        task: the task.
        state: its error, if any, and the processor time it took.
        done: tasks that have ended in this sweep.
        total: tasks of this sweep; those finished before are not counted.
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
    """Run the tasks that are not finished yet, each on one thread, and write each one's rows as it ends.

    A task that fails is kept with its error; the others go on. Interrupted, and called again, it goes on with what
    was not finished; tasks that failed are tried again.

    Args:
        work: experiments and their tasks.
        results: where rows go, opened to write.
        jobs: processes; 1 runs in this one.
        backend: ``"processes"`` (joblib's), or ``"dask"``.
        scheduler: the address of a Dask scheduler, as ``"tcp://host:8786"``.
        data_root: where the data sets are, on every machine that runs tasks.
        tell: called with each task that has ended.

    Returns:
        The tasks that were run.

    Raises:
        ValueError: if ``jobs``, ``backend`` and ``scheduler`` do not go together.
        ImportError: if joblib or Dask is absent.
    """
    _check(jobs, backend, scheduler)
    waiting = list({task.id: (experiment, task) for experiment, task in work if not results.finished(task)}.values())
    ended: list[Done] = []
    for task, rows, state in _outcomes(waiting, jobs, scheduler, data_root):
        ended.append(Done(task, _kept(results, task, rows, state), len(ended) + 1, len(waiting)))
        tell(ended[-1])
    return ended


def _check(jobs: int, backend: str, scheduler: str | None) -> None:
    if jobs < 1:
        raise ValueError(f"the number of jobs must be at least 1, got {jobs}")
    if backend not in ("processes", "dask"):
        raise ValueError(f"backend must be 'processes' or 'dask', got {backend!r}")
    if (backend == "dask") != (scheduler is not None):
        raise ValueError(f"the backend 'dask' needs a scheduler's address, and no other does; got {scheduler!r}")


def _kept(results: Results, task: Task, rows: Sequence[Row], state: State) -> State:
    """Write the rows; rows that cannot be a task's make it a failed one."""
    try:
        results.finish(task, rows, state)
    except ValueError as error:
        state = state._replace(error=f"ValueError: {error}")
        results.finish(task, [], state)
    return state


Outcome = tuple[Task, Sequence[Row], State]


def _outcomes(waiting: Sequence[Work], jobs: int, scheduler: str | None, data_root: str | None) -> Iterator[Outcome]:
    """What the tasks came to, as they end."""
    if scheduler is None:
        return _in_processes(waiting, jobs, data_root)
    return _on_dask(waiting, scheduler, data_root)


def _in_processes(waiting: Sequence[Work], jobs: int, data_root: str | None) -> Iterator[Outcome]:
    """A process that dies takes its pool with it: then a new pool goes on."""
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
                yield _alone(suspect, data_root)
                del left[suspect[1].id]


def _noted(work: Iterable[Work], begun: list[Work]) -> Iterator[Work]:
    for one in work:
        begun.append(one)
        yield one


def _pool(work: Iterable[Work], jobs: int, data_root: str | None) -> Iterator[Outcome]:
    from joblib import Parallel, delayed, parallel_config

    calls = (delayed(run_task)(experiment.run, task, data_root) for experiment, task in work)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        # One task at a time to each process: they may take hours, and one more in waiting would be lost with it.
        pool: Any = Parallel(pre_dispatch="n_jobs", return_as="generator_unordered", **_ONE_BY_ONE)
        yield from pool(calls)


def _alone(work: Work, data_root: str | None) -> Outcome:
    """A task that was running when a process died, in a pool of its own: if that dies too, it is to blame."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        return next(_pool([work], 2, data_root))
    except BrokenProcessPool as error:
        return _dead(work[1], error)


def _dead(task: Task, error: Exception) -> Outcome:
    return task, [], State(f"its process died: {error}", 0.0, platform.node())


def _on_dask(waiting: Sequence[Work], scheduler: str, data_root: str | None) -> Iterator[Outcome]:
    """Dask itself runs the tasks of a lost worker on another, and gives up those that were there when several died.

    One of them is to blame, but others may have waited in its queue each time: so each has another try, alone.
    joblib's Dask backend would wait forever for the result of such a task.
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
    """The work with its future, as it ends."""
    from distributed import as_completed

    futures = {client.submit(run_task, one[0].run, one[1], data_root, pure=False): one for one in work}
    for future in as_completed(futures, loop=client.loop):
        yield futures[future], future


def _outcome(work: Work, future: Any) -> Outcome:
    return _dead(work[1], future.exception()) if future.status == "error" else future.result()


def run_task(run: Callable[[Task], Iterable[Row]], task: Task, data_root: str | None) -> Outcome:
    """Run one task here, on one thread; an error becomes part of its state."""
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
