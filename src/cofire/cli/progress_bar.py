"""Progress on stderr: a bar on a terminal, lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

Show = Callable[[int, int], None]

EVERY = 10.0  # seconds between lines


@contextmanager
def progress_bar(title: str) -> Iterator[Show]:
    """Yield a function that takes the steps done and the number of steps.

    On a terminal it draws a bar with the time left, which disappears at the end. Elsewhere, as in CI logs, it prints a
    line at the start and then at most one every ten seconds.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lines(title)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def lines(title: str, *, clock: Callable[[], float] = monotonic) -> Show:
    """Print the title on stderr and return a function that prints progress lines at a modest rate."""
    print(f"{title} …", file=sys.stderr, flush=True)
    begun = last = clock()

    def show(done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= EVERY:
            last = clock()
            left = f", about {_left(done, total, last - begun)} left" if 0 < done < total else ""
            print(f"{title}: {done:,} of {total:,}{left}", file=sys.stderr, flush=True)

    return show


def _left(done: int, total: int, seconds: float) -> str:
    from ..papers.framework.verdict_text import duration

    return duration(seconds * (total - done) / done)
