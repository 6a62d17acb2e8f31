import pytest
import torch
from torch import nn

from cofire.nets.redundancy import weight_redundancy_report
from cofire.nets.redundancy.find_weights import NOT_RUN, read_model
from cofire.nets.redundancy.state_dict_weights import read_state_dict
from cofire.stats.weights.weight_correlation import weight_correlation


def shapes(readings):
    """Units and inputs of every weight found."""
    found = {}
    for one in readings.found:
        units_first = one.weight if one.unit_axis == 0 else one.weight.transpose(0, 1)
        found[one.layer] = tuple(units_first.flatten(1).shape)
    return found


MODELS = {
    "linear": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    "convolution": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ConvTranspose2d(8, 5, 2)),
    "lstm": lambda: nn.LSTM(3, 5, num_layers=2, bidirectional=True),
    "lstm with projection": lambda: nn.LSTM(3, 6, proj_size=2),
    "gru": lambda: nn.GRU(3, 5),
    "rnn": lambda: nn.RNN(3, 5),
    "cells": lambda: nn.ModuleDict({"a": nn.LSTMCell(3, 5), "b": nn.GRUCell(3, 5)}),
    "attention": lambda: nn.ModuleDict({"attn": nn.MultiheadAttention(8, 2)}),
    "embedding": lambda: nn.ModuleDict({"tok_embedding": nn.Embedding(20, 4), "head": nn.Linear(4, 20)}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_names_and_shapes_tell_what_the_modules_tell(kind):
    model = MODELS[kind]()
    wanted, found = shapes(read_model(model)), shapes(read_state_dict(model.state_dict()))
    assert found == wanted


def test_groups_are_known_from_a_module_and_assumed_without():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, groups=4))
    assert read_model(model).found[0].groups == 4
    bare = read_state_dict(model.state_dict()).found[0]
    assert bare.groups == 1 and bare.notes == ("taken as a layer that reads one channel, not as depthwise",)


def test_layers_that_store_inputs_first_are_known_by_their_bias():
    state = {
        "h.0.c_attn.weight": torch.ones(4, 12),
        "h.0.c_attn.bias": torch.ones(12),
        "h.0.attn.c_proj.weight": torch.ones(4, 4),
        "h.0.attn.c_proj.bias": torch.ones(4),
        "h.0.mlp.c_proj.weight": torch.ones(16, 4),
        "h.0.mlp.c_proj.bias": torch.ones(4),
    }
    readings = read_state_dict(state)
    assert shapes(readings) == {
        **{f"h.0.c_attn.{part}": (4, 4) for part in ("query", "key", "value")},
        "h.0.attn.c_proj": (4, 4),
        "h.0.mlp.c_proj": (4, 16),
    }
    assert all("stored as (inputs, units)" in one.notes[0] for one in readings.found)


def test_square_layers_of_numbered_names_stay_upright():
    state = {
        "0.weight": torch.ones(3, 3),
        "0.bias": torch.ones(3),
        "1.weight": torch.ones(3, 2),
        "1.bias": torch.ones(2),
    }
    assert [one.notes for one in read_state_dict(state).found] == [
        ("taken as (units, inputs), as nn.Linear stores it",),
        ("its bias shows that it is stored as (inputs, units)",),
    ]


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation:UserWarning")
def test_what_is_no_weight_is_left_out_with_the_reason():
    state = {
        "fc.weight": torch.ones(2, 3),
        "fc.bias": torch.ones(2),
        "norm.num_batches_tracked": torch.tensor(3),
        "ids": torch.ones(2, 3, dtype=torch.int64),
        "attn.causal_mask": torch.ones(1, 1, 4, 4),
        "pos": torch.ones(1, 4, 8),
        "none.weight": torch.ones(0, 3),
        "spectral.weight": torch.ones(2, 2, dtype=torch.complex64),
        "sparse.weight": torch.eye(3).to_sparse(),
        "quantized.weight": torch.quantize_per_tensor(torch.ones(2, 2), 1.0, 0, torch.qint8),
    }
    readings = read_state_dict(state)
    assert [one.layer for one in readings.found] == ["fc"]
    assert readings.left_out == {
        "fc.bias": "a bias, scale or statistic, no weights",
        "norm.num_batches_tracked": "holds whole numbers, no weights",
        "ids": "holds whole numbers, no weights",
        "attn.causal_mask": "a bias or a mask by its name",
        "pos": "a table of positions, no layer's weights",
        "none.weight": "is empty, of shape (0, 3)",
        "spectral.weight": "holds complex numbers",
        "sparse.weight": "stored as sparse_coo",
        "quantized.weight": "stored as qint8",
    }


def test_tied_weights_are_measured_once_for_each_way_of_reading_them(tmp_path):
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    torch.save(model.state_dict(), tmp_path / "tied.pt")
    saved = torch.load(tmp_path / "tied.pt", weights_only=True, mmap=True)
    of_file = read_state_dict(saved)
    assert [one.layer for one in of_file.found] == ["embed"]
    assert next(iter(of_file.left_out.values())).startswith("the same tensor as embed")
    # Of the model it is known that the head has a unit for each row, where the table has one for each column.
    assert shapes(read_model(model)) == {"embed": (3, 5), "head": (5, 3)}
    alike = nn.ModuleDict({"a": nn.Linear(3, 5), "b": nn.Linear(3, 5)})
    alike["b"].weight = alike["a"].weight
    assert [one.layer for one in read_model(alike).found] == ["a"]


def test_parameters_of_unknown_modules_are_named():
    class Free(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.table = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, 4))

    readings = read_model(Free())
    assert not readings.found
    assert readings.left_out["table"] == NOT_RUN


def test_a_lazy_layer_has_to_run_first():
    with pytest.raises(ValueError, match=r"'0\.weight' has no values before it has run once"):
        read_model(nn.Sequential(nn.LazyLinear(3)))


def test_eight_bit_floats_are_read():
    weight = torch.randn(4, 16).to(torch.float8_e4m3fn)
    (layer,) = weight_redundancy_report({"fc.weight": weight}).layers
    assert layer.weights.mean_abs == pytest.approx(weight_correlation(weight.float()).item(), abs=1e-6)


def test_a_table_named_emb_has_its_features_as_units():
    state = {"tok_emb.weight": torch.randn(20, 4), "time_emb.weight": torch.randn(7, 4), "time_emb.bias": torch.ones(7)}
    assert [(one.layer, one.unit_axis) for one in read_state_dict(state).found] == [("tok_emb", 1), ("time_emb", 0)]
