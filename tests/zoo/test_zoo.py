"""Every architecture of the zoo keeps the laws of its wiring; what the wiring says of it is written to docs/zoo.md."""

import gc
import importlib.util
import warnings
from pathlib import Path
from statistics import median

import pytest
import torch
from collection import SOURCES, all_architectures, missing
from examine import examine
from table import page

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
ROWS, KEPT = [], []


def pytest_generate_tests(metafunc):
    if "architecture" in metafunc.fixturenames:
        found = []
        if metafunc.config.getoption("--run-slow"):  # the libraries take long to import
            with warnings.catch_warnings(action="ignore"):
                found, operators = all_architectures()
            KEPT.append(operators)
        metafunc.parametrize("architecture", found, ids=str)


@pytest.fixture(scope="module", autouse=True)
def _quickly_collected():
    gc.collect()
    gc.freeze()  # else each collection walks through all of the libraries
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.parametrize("library", SOURCES)
def test_the_library_is_here(library):
    if missing(library):
        pytest.skip(f"{library} is not installed")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_architecture_keeps_the_laws(architecture):
    row = examine(architecture)
    ROWS.append(row)
    assert not row.faults
    assert row.unruled <= 0.05, row.unknown


@pytest.mark.slow
def test_most_parameters_belong_to_a_named_layer_and_the_page_says_so():
    if len(ROWS) < 50:
        pytest.skip("only a part of the zoo ran")
    assert median(row.named for row in ROWS) >= 0.95
    PAGE.write_text(page(ROWS, torch.__version__))


def test_operators_of_torchvision_are_defined_where_they_do_not_load():
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    from architectures import register_operators_of_torchvision

    KEPT.append(register_operators_of_torchvision())
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.8], [5.0, 5.0, 6.0, 6.0]])
    found = torch.ops.torchvision.nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)
    assert found.tolist() == [1, 2]
