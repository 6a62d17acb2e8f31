"""Several calls at once, on the threads that torch keeps for itself.

After a parallel operation those look out for more work for some milliseconds, each on a core of its own. Threads of
ours would have to share the cores with them, which doubles the time of whatever is that short.
"""

import ctypes
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

Task = Callable[[], object]
CALLED_BACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def at_once(tasks: Iterable[Task]) -> None:
    """Call all tasks, as many at a time as torch has threads; what they run should release the interpreter's lock.

    Raises:
        Whatever a task raises, after all have come to an end.
    """
    errors: list[BaseException] = []
    every = list(tasks)
    waiting = iter(every)

    def work(_: object = None) -> None:
        for task in waiting:
            try:
                task()
            except BaseException as error:
                errors.append(error)

    _everywhere(work, min(torch.get_num_threads(), len(every)))
    if errors:
        raise errors[0]


def _everywhere(work: Callable[..., None], n_threads: int) -> None:
    if n_threads < 2:
        work()
    elif openmp := _openmp():
        openmp.GOMP_parallel(CALLED_BACK(work), None, ctypes.c_uint(n_threads), ctypes.c_uint(0))
    else:
        with ThreadPoolExecutor(n_threads) as threads:
            list(threads.map(work, range(n_threads)))


@cache
def _openmp() -> ctypes.CDLL | None:
    """GNU's OpenMP, if that is what torch runs on."""
    shipped = (str(path) for path in (Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    for name in (*shipped, "libgomp.so.1"):
        try:
            return ctypes.CDLL(name, mode=os.RTLD_NOLOAD)  # only what is loaded already
        except (OSError, AttributeError):
            continue
    return None
