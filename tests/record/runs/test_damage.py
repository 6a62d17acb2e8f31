"""Flipped bits and holes in ``rows.sqlite``: whatever changes a row or an array is an error that says where."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cofire.record import Array, Row, Rows

STEPS = range(0, 120, 3)


def everything(path: Path) -> list[Any]:
    """All that can be read from a table."""
    table = Rows.read(path)
    try:
        arrays = [(key, table.array(key[2], key[3], step=key[1]).tobytes()) for key in table.arrays()]
        return [table.select(), table.select(step=6, measure="nc"), table.last_step(), arrays]
    finally:
        table.close()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("healthy") / "rows.sqlite"
    draw = np.random.default_rng(0)
    with_arrays = {0, 3, 6, 12, 24, 117}
    table = Rows(path)
    for step in STEPS:
        rows = [
            Row("run", step, step // 30, site, measure, '{"k": 3}', draw.normal(), 128, 0, "train", "nats", 8, 9)
            for site in ("encoder.0", "encoder.1")
            for measure in ("nc", "nc_low", "nc_high", "width")
        ]
        arrays = [Array("run", step, "encoder.0", name, draw.normal(size=(30, 30)), "train") for name in "xy"]
        table(rows, arrays if step in with_arrays else [])
    table.close()
    return path


def flip(content: bytearray, draw: random.Random) -> None:
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def hole(content: bytearray, draw: random.Random) -> None:
    size = draw.choice([1, 16, 512, 4096, 9000])
    start = draw.randrange(len(content))
    content[start : start + size] = bytes(len(content[start : start + size]))


@pytest.mark.parametrize("harm", [flip, hole])
@pytest.mark.parametrize("n", [50, pytest.param(2000, marks=pytest.mark.slow)])
def test_damage_is_noticed_or_changes_nothing(healthy: Path, tmp_path, harm: Callable[..., None], n: int) -> None:
    whole, content = everything(healthy), healthy.read_bytes()
    draw, noticed, damaged = random.Random(n), 0, tmp_path / "rows.sqlite"
    for _ in range(n):
        changed = bytearray(content)
        harm(changed, draw)
        damaged.write_bytes(changed)
        try:
            found = everything(damaged)
        except (ValueError, OSError) as error:
            assert str(damaged) in str(error)
            noticed += 1
        else:
            assert found == whole
    assert noticed > n / 3
