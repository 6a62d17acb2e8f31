"""What the page says of how a run was made: in words, with nothing lost."""

from typing import Any

import pytest

from cofire.reports.data.provenance import provenance

RUN = {
    "config": {"widths": [64, 32]},
    "made": {
        "command": "train.py --fast",
        "cores": 2,
        "platform": "Linux",
        "started": "2026-01-02T03:04:05+01:00",
        "threads": 1,
        "host": "a",
    },
    "measures": [
        'correlation{"compute_dtype": "compute_dtype"} of post at *',
        'dependence{"max_pairs": 10} of pre at encoder.*',
        "my own",
    ],
    "model": {"class": "MLP", "layers": {"0": "Linear", "1": "ReLU"}, "parameters": 1234567},
    "versions": {"cofire": "1.0", "torch": "2.10"},
    "epochs": 3,
}


def test_a_run_is_told_in_words() -> None:
    told = dict(provenance(RUN))
    assert told == {
        "Started": "2 January 2026, 02:04 UTC",
        "Command": "train.py --fast",
        "Model": "MLP, 1,234,567 parameters, 2 modules",
        "Measures": "correlation of outputs after the activation function in all layers; dependence of outputs before "
        "the activation function in encoder.* (max pairs 10); my own",
        "Software": "cofire 1.0, torch 2.10",
        "Machine": "Linux, 2 cores, 1 thread",
        "config.widths": "64, 32",
        "epochs": "3",
        "made.host": "a",
    }


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"made": None, "model": [], "measures": "x", "versions": 3, "config": None},
        {"made": {"started": "yesterday", "cores": "many"}},
        {"measures": ["correlation{not json} of post at *", 3]},
    ],
)
def test_what_another_version_wrote_is_told_as_far_as_it_can_be(facts: dict[str, Any]) -> None:
    assert all(name and text for name, text in provenance(facts))
