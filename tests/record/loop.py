"""A training process that tests stop: run with ``directory`` and ``stop`` set, see `processes`."""

import os
import resource
import time
from pathlib import Path

import torch

from cofire.papers.training.datasets import Dataset
from cofire.papers.training.loop import Settings, train
from cofire.papers.training.models import mlp
from cofire.record import correlation, weight_correlation


def data() -> Dataset:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(240, 1, 3, 3, generator=generator)
    y = (x.flatten(1).sum(1) > 0).long()
    return Dataset("made", x[:200], y[:200], x[200:], y[200:], n_classes=2)


def pause(directory: Path) -> None:
    """Wait for a signal; the file goes when it has been sent."""
    (directory / "paused").touch()
    while (directory / "paused").exists():
        time.sleep(0.01)


def pause_in_write(directory: Path, number: int) -> None:
    """Pause where that many files have been written and are about to take their places."""
    replace, seen = os.replace, iter(range(number))

    def slow(*paths: object) -> None:
        if next(seen, None) is None:
            pause(directory)
        replace(*paths)  # pyright: ignore

    os.replace = slow


def forget(name: str) -> None:
    """Plant a fault: do not restore a part."""
    from cofire.record.runs import resume

    put = resume._put
    resume._put = lambda part, *rest: None if part == name else put(part, *rest)


def main(
    directory: Path, *, step: int = -1, write: int | None = None, largest_file: int | None = None, forgets: str = ""
) -> None:
    torch.set_num_threads(1)
    forget(forgets)
    if write is not None:
        pause_in_write(directory, write)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    model = mlp([9, 12, 8, 2])
    train(
        model,
        data(),
        Settings(epochs=4, batch_size=16),
        run=directory,
        measures=[correlation(), weight_correlation()],
        every=3,
        progress=lambda done, total: pause(directory) if done == step else None,
    )
    (directory / "weights").write_bytes(b"".join(p.detach().numpy().tobytes() for p in model.parameters()))


if __name__ == "__main__":
    main(directory, **stop)  # noqa: F821  # pyright: ignore - set by whoever runs this file
