"""Architectures of the zoo shrunk to three quarters of their parameters; docs/zoo-shrunken.md says how many work.

Weights are random and the data a few noise inputs, so errors mean nothing here: what counts is that the smaller network
has the size that was asked for, runs, and is what its plan makes of a fresh model.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest
import torch
from collection import all_architectures
from planting import plant_everywhere
from test_zoo import KEPT

from cofire.nets.shrinking import apply_plan, shrink
from cofire.nets.tensors_in import look_into

PAGE = Path(__file__).parents[2] / "docs" / "zoo-shrunken.md"
LARGEST = 30e6  # parameters; larger ones take minutes each
ROWS = []
PLANTED = {}

INTRODUCTION = """# The zoo, shrunk

`cofire.shrink` cuts {works} of {n} architectures of the [zoo](zoo.md) with at most 30 million parameters to three
quarters of these (torch {version}): the smaller network has the size that was asked for, runs on other inputs, and
is what its plan makes of a fresh model. Weights are random, so that errors mean nothing here. The page is written by
`pytest tests/zoo/test_shrunken.py --run-slow`.

The columns: how many *groups* of units lost some, the share of the parameters that is *left*, and how many units were
*merged* without a change of the outputs (1e-5) after copies had been planted in all groups that allow it.
"""


@dataclass(frozen=True)
class Row:
    library: str
    name: str
    parameters: int
    groups: str
    left: str
    reason: str = ""


def pytest_generate_tests(metafunc):
    if "architecture" in metafunc.fixturenames:
        found = []
        if metafunc.config.getoption("--run-slow"):
            with warnings.catch_warnings(action="ignore"):
                found, operators = all_architectures()
            KEPT.append(operators)
        metafunc.parametrize("architecture", [one for one in found if not one.large], ids=str)


def outputs(model, example):
    model.eval()
    with torch.no_grad():
        found = model(**example) if isinstance(example, Mapping) else model(example)
    return [one for one in look_into(found, caches=False).tensors if one.is_floating_point()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_three_quarters_of_an_architecture_work(architecture):
    torch.manual_seed(0)
    model, example = architecture.build().eval(), architecture.example()
    if isinstance(example, tuple):
        if len(example) > 1:
            pytest.skip("takes several tensors by place, which no batch of data holds")
        example = example[0]
    n = sum(one.numel() for one in model.parameters())
    if n > LARGEST:
        pytest.skip("more than 30 million parameters")
    row = Row(architecture.library, architecture.name, n, "0", "-")
    try:
        found = shrink(model, [architecture.example() if k else example for k in range(3)], keep=0.75)
    except ValueError as error:
        if "can't be reached" not in str(error):
            raise
        ROWS.append(Row(row.library, row.name, n, "-", "-", str(error).partition(";")[0]))
        pytest.xfail(str(error))
    if not found.cuts:
        reason = next(iter(found.left.values()), "no group can be cut")
        ROWS.append(Row(row.library, row.name, n, "0", "100 %", reason))
        pytest.xfail(reason)
    assert found.share <= 0.75 + 1e-9
    assert sum(one.numel() for one in found.model.parameters()) == pytest.approx(found.share * n)
    fresh = architecture.build()
    apply_plan(fresh, found.plan).load_state_dict(found.model.state_dict())
    torch.manual_seed(1)
    mine = outputs(found.model, example)
    torch.manual_seed(1)
    theirs = outputs(fresh, example)
    assert [one.shape for one in mine] == [one.shape for one in outputs(model, example)]
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)
    ROWS.append(Row(row.library, row.name, n, str(len(found.cuts)), f"{found.share:.1%}"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_planted_copies_vanish(architecture):
    torch.manual_seed(0)
    model, example = architecture.build().eval(), architecture.example()
    n = sum(one.numel() for one in model.parameters())
    if isinstance(example, tuple) or n > LARGEST:
        pytest.skip("takes several tensors by place, or has more than 30 million parameters")
    plant_everywhere(model, example)
    data = [architecture.example() for _ in range(8)]
    before, found = outputs(model, data[0]), shrink(model, data, check=data)
    after = outputs(found.model, data[0])
    gone = sum(cut.n_units - len(cut.kept) for cut in found.cuts.values())
    PLANTED[architecture.library, architecture.name] = gone
    for one, other in zip(before, after, strict=True):
        assert (one - other).norm() <= 1e-5 * one.norm() or not one.isfinite().all()
    if not found.cuts:
        pytest.xfail(next(iter(found.left.values()), "no group can be cut"))


@pytest.mark.slow
def test_nine_in_ten_work_and_the_page_says_so():
    if len(ROWS) < 40:
        pytest.skip("only a part of the zoo ran")
    works = sum(not row.reason for row in ROWS)
    assert works >= 0.9 * len(ROWS)
    parts = [INTRODUCTION.format(works=works, n=len(ROWS), version=torch.__version__)]
    for library, rows in groupby(ROWS, lambda row: row.library):
        parts += [
            f"## {library}",
            "",
            "| architecture | parameters | groups cut | left | merged |",
            "|---|---:|---:|---|---:|",
        ]
        for row in rows:
            merged = PLANTED.get((row.library, row.name), "–")
            parts.append(f"| {row.name} | {row.parameters:,} | {row.groups} | {row.reason or row.left} | {merged} |")
        parts.append("")
    PAGE.write_text("\n".join(parts))
