"""How far a command is: a bar on a terminal, elsewhere a line now and then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

Show = Callable[[int, int], None]

EVERY = 10.0  # seconds between lines


@contextmanager
def progress_bar(title: str) -> Iterator[Show]:
    """Yields what takes the steps done and the steps in all.

    On a terminal's stderr they are a bar, which is gone at the end; elsewhere a line at the start and, while it takes
    long, one every ten seconds.
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
    """Says on stderr that it begins, and returns what says how far it is, at a modest rate."""
    print(f"{title} …", file=sys.stderr, flush=True)
    told = clock()

    def show(done: int, total: int) -> None:
        nonlocal told
        if clock() - told >= EVERY:
            told = clock()
            print(f"{title}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return show
