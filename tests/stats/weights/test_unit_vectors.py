import pytest
import torch
from torch import nn

from cofire.stats.weights.unit_vectors import split_units


def gate_effect(layer: nn.Module, parts: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """Output of a recurrent layer after the named gate's incoming weights are zeroed in place."""
    with torch.no_grad():
        parts[name].zero_()
        return layer(torch.ones(1, 2, 3))[0]


def test_lstm_gates_have_torch_names_and_order():
    lstm = nn.LSTM(3, 5, batch_first=True)
    parts = split_units(lstm.weight_ih_l0, "lstm")
    assert list(parts) == ["input", "forget", "cell", "output"]
    # a cell without candidate, bias and recurrence stays at 0 whatever the other gates do
    with torch.no_grad():
        for bias in (lstm.bias_ih_l0, lstm.bias_hh_l0, lstm.weight_hh_l0):
            bias.zero_()
    assert gate_effect(lstm, parts, "forget").abs().min() > 0
    assert gate_effect(lstm, parts, "cell").abs().max() == 0


def test_gru_gates():
    gru = nn.GRU(3, 5)
    parts = split_units(gru.weight_hh_l0, "gru")
    assert list(parts) == ["reset", "update", "new"]
    assert torch.equal(parts["new"], gru.weight_hh_l0[10:])


def test_attention_projections():
    attention = nn.MultiheadAttention(6, 2)
    parts = split_units(attention.in_proj_weight, "attention")
    assert torch.equal(parts["key"], attention.in_proj_weight[6:12])
    assert {tuple(part.shape) for part in parts.values()} == {(6, 6)}


def test_a_plain_recurrent_layer_is_one_part():
    rnn = nn.RNN(3, 5)
    assert torch.equal(split_units(rnn.weight_ih_l0, "rnn")["hidden"], rnn.weight_ih_l0)


def test_numpy_is_taken():
    assert split_units(torch.ones(6, 2).numpy(), "gru")["reset"].shape == (2, 2)


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [((10, 3), "lstm", "do not divide into 4"), ((10, 3), "mlp", "kind must be one of"), ((12,), "gru", "shape")],
)
def test_what_does_not_split_is_refused(shape, kind, message):
    with pytest.raises(ValueError, match=message):
        split_units(torch.ones(shape), kind)
