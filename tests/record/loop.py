"""A training process that tests kill: ``python loop.py DIRECTORY [PAUSE_AT_STEP]``."""

import sys
import time
from pathlib import Path

import torch

from cofire.papers.data import Dataset
from cofire.papers.training import Settings, train
from cofire.papers.zoo import mlp
from cofire.record import correlation, weight_correlation

torch.set_num_threads(1)


def data() -> Dataset:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(240, 1, 3, 3, generator=generator)
    y = (x.flatten(1).sum(1) > 0).long()
    return Dataset("made", x[:200], y[:200], x[200:], y[200:], n_classes=2)


def main(directory: str, pause_at: int = -1) -> None:
    def progress(done: int, total: int) -> None:
        if done == pause_at:
            (Path(directory) / "paused").touch()
            time.sleep(60)

    model = mlp([9, 12, 8, 2])
    train(
        model,
        data(),
        Settings(epochs=4, batch_size=16),
        run=directory,
        measures=[correlation(), weight_correlation()],
        every=3,
        progress=progress,
    )
    (Path(directory) / "weights").write_bytes(b"".join(p.detach().numpy().tobytes() for p in model.parameters()))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
