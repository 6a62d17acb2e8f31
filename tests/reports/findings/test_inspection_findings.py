"""What an inspection says of a real network's layers."""

import torch
from torch import nn

from cofire.nets.redundancy import redundancy_report
from cofire.reports.page.inspection_page import Inspection


def test_outputs_that_fire_together_are_not_told_to_be_narrower():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 8))
    with torch.no_grad():
        for layer in (model[2], model[4]):  # their units are nearly one
            layer.weight[:] = layer.weight[:1].abs() + 0.02 * torch.randn_like(layer.weight)
    report = redundancy_report(model, torch.randn(900, 6))
    outputs = report.layers[-1]
    assert outputs.is_output and outputs.activations.correlation.debiased > 0.5
    (together,) = [one for one in Inspection("net", report, {}).findings if one.kind == "redundant"]
    told = [place for place, _ in together.points]
    assert "2" in told and "4" not in told
