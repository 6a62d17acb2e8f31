"""Options, seeds and the skips of the whole suite."""

import importlib.util
import os

import hypothesis
import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores; threads that wait for one another would stall them all

hypothesis.settings.register_profile("cofire", deadline=None)  # a test holds a law, and no machine to a time
hypothesis.settings.load_profile("cofire")

if importlib.util.find_spec("torchvision"):  # lightning, torchmetrics and transformers import it
    from architectures import register_operators_of_torchvision

    OPERATORS = register_operators_of_torchvision()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow")
    parser.addoption("--run-papers", action="store_true", help="run the tests that train real networks")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in ("slow", "papers"):
            if item.get_closest_marker(mark) and not config.getoption(f"--run-{mark}"):
                item.add_marker(pytest.mark.skip(reason=f"needs --run-{mark}"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
