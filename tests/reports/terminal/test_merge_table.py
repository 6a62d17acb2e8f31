"""What a surgery did, for the terminal: names stay apart, and one unit is no plural."""

import torch
from rich.console import Console
from torch import nn

from cofire.nets.surgery import cost, prune
from cofire.reports.terminal.merge_table import merge_summary


def shown(net: nn.Module, x: torch.Tensor, keep: int) -> str:
    surgery = prune(net, x, keep=keep)
    console = Console(width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(merge_summary(surgery, cost(net, surgery, x)))
    return captured.get()


def test_a_layer_and_the_next_are_told_apart_by_their_long_names():
    net = nn.Sequential()
    net.add_module("feed_forward_intermediate_projection", nn.Linear(4, 8))
    net.add_module("feed_forward_output_projection", nn.Linear(8, 2))
    text = shown(net, torch.randn(100, 4), keep=5)
    assert text.startswith("3 of 8 units in 1 layer were removed.")
    lines = text.split("\n\n")[1].splitlines()
    assert lines[1].split()[:4] == ["feed_forward_", "8", "5", "feed_forward_"]
    assert [line.split() for line in lines[2:]] == [["intermediate_", "output_projection"], ["projection"]]


def test_one_unit_was_removed():
    assert shown(nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2)), torch.randn(100, 4), keep=1).startswith(
        "1 of 2 units in 1 layer was removed."
    )


def test_nothing_removed_moves_nothing():
    text = shown(nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2)), torch.randn(100, 4), keep=2)
    assert text.startswith("No unit was removed") and "keep asks for all units" in " ".join(text.split())
    assert "Outputs move by 0 (0 % of their standard deviation) as measured" in text
