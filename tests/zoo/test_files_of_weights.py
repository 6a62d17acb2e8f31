"""Files of weights are read as the modules of the zoo use them: the same units, axes and groups, or left out."""

import warnings

import pytest
import torch
from collection import all_architectures
from torch import nn

from cofire.nets.redundancy.state_dict_weights import read_state_dict

KEPT = []


def pytest_generate_tests(metafunc):
    if "architecture" in metafunc.fixturenames:
        found = []
        if metafunc.config.getoption("--run-slow"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, operators = all_architectures()
            KEPT.append(operators)
        metafunc.parametrize("architecture", [one for one in found if not one.large], ids=str)


def as_modules_use_them(model):
    """Weights (units, inputs, ...) with their groups, by layer; only of modules whose reading is beyond doubt."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) or type(module).__name__ == "Conv1D":
            found[name] = module.weight.T, 1
        elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            found[name] = module.weight.transpose(0, 1), module.groups
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found[name] = module.weight, module.groups
        elif type(module) is nn.Linear:
            found[name] = module.weight, 1
    return {name: (weight.detach(), groups) for name, (weight, groups) in found.items()}


def units_first(reading):
    return reading.weight if reading.unit_axis == 0 else reading.weight.T


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by_name", [False, True], ids=["in order", "sorted by name"])
def test_a_file_is_read_as_its_modules_use_it(architecture, by_name):
    model = architecture.build()
    state = model.state_dict()
    readings = read_state_dict(dict(sorted(state.items())) if by_name else state)
    found = {one.layer: one for one in readings.found}
    wrong = []
    for name, (weight, groups) in as_modules_use_them(model).items():
        parts = [one for layer, one in found.items() if layer.startswith(f"{name}.")]
        read = [found[name]] if name in found else parts
        if not read:
            continue
        given = torch.cat([units_first(one) for one in read])
        sure = not any("one group" in note for note in read[0].notes)
        # Weight norm rounds in another order.
        same = given.shape == weight.shape and torch.allclose(given, weight, rtol=1e-5, atol=0)
        if not same or (read[0].groups != groups and sure):
            wrong.append((name, tuple(given.shape), read[0].groups, tuple(weight.shape), groups, read[0].notes))
    assert not wrong
