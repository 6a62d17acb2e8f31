"""A progress bar for work that takes longer than a second."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

PATIENCE = 1.0


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances the bar by an amount; it is drawn to standard error, on a terminal or notebook."""
    begun = monotonic()
    with ExitStack() as stack:
        show: Callable[[int], None] | None = None
        done = 0

        def advance(amount: int) -> None:
            nonlocal show, done
            done += amount
            if show is None and monotonic() - begun > PATIENCE:
                show = _bar(stack, title, total)
            if show is not None:
                show(done)

        yield advance


def _bar(stack: ExitStack, title: str, total: int) -> Callable[[int], None]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    hidden = not (console.is_terminal or console.is_jupyter)
    bar = stack.enter_context(Progress(console=console, transient=True, disable=hidden))
    task = bar.add_task(title, total=total)
    return lambda done: bar.update(task, completed=done)
