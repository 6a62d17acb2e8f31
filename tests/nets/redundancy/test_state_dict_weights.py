"""What a file of weights is read as, with modules as the oracle, and what is assumed of it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from cofire.nets.redundancy import weight_redundancy_report
from cofire.nets.redundancy.readings import Reading
from cofire.nets.redundancy.state_dict_weights import DEPTHWISE, TABLE_OR_LAYER, UNTOLD, read_state_dict
from cofire.stats._base.definitions import NEARLY_ZERO


def read(state: dict[str, Tensor], config: dict | None = None, *, by_name: bool = False) -> dict[str, Reading]:
    """Readings by layer, from a file in the network's order or sorted by name."""
    state = dict(sorted(state.items())) if by_name else state
    return {one.layer: one for one in read_state_dict(state, config).found}


def left_out(state: dict[str, Tensor], config: dict | None = None) -> dict[str, str]:
    return dict(read_state_dict(state, config).left_out)


def conv(out: int, into: int, *kernel: int) -> Tensor:
    return torch.randn(out, into, *(kernel or (3, 3)))


# Depthwise and grouped convolutions


class Block(nn.Module):
    """Expand, depthwise, project, as in EfficientNet."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self._expand_conv, self._bn0 = nn.Conv2d(into, 4 * into, 1, bias=False), nn.BatchNorm2d(4 * into)
        self._depthwise_conv = nn.Conv2d(4 * into, 4 * into, 3, groups=4 * into, bias=False)
        self._bn1 = nn.BatchNorm2d(4 * into)
        self._project_conv, self._bn2 = nn.Conv2d(4 * into, out, 1, bias=False), nn.BatchNorm2d(out)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16)
        self._blocks = nn.Sequential(Block(16, 24), Block(24, 40))
        self._fc = nn.Linear(40, 10)


@pytest.mark.parametrize("by_name", [False, True])
def test_depthwise_filters_are_no_layer_of_copies(by_name):
    found = read(Small().state_dict(), by_name=by_name)
    assert sorted(found) == sorted(
        ["_conv_stem", "_fc", *(f"_blocks.{i}.{one}" for i in (0, 1) for one in ("_expand_conv", "_project_conv"))]
    )
    assert left_out(Small().state_dict())["_blocks.0._depthwise_conv.weight"] == DEPTHWISE


@pytest.mark.parametrize("by_name", [False, True])
def test_a_first_layer_of_one_channel_is_no_depthwise_one(by_name):
    state = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.Linear(64, 10)).state_dict()
    assert list(read(state, by_name=by_name)) == ["0", "2", "3"]


def test_a_convolution_over_words_is_no_depthwise_one():
    state = {"embedding.weight": torch.randn(900, 50), "convs.0.weight": conv(100, 1, 3, 50)}
    assert list(read({**state, "convs.0.bias": torch.ones(100)})) == ["embedding", "convs.0"]


def test_one_dimensional_depthwise_convolutions_of_a_state_space():
    state = {
        "embeddings.weight": torch.randn(300, 32),
        "layers.0.mixer.A_log": torch.randn(64, 8),
        "layers.0.mixer.D": torch.randn(64),
        "layers.0.mixer.conv1d.weight": torch.randn(64, 1, 4),
        "layers.0.mixer.conv1d.bias": torch.randn(64),
        "layers.0.mixer.in_proj.weight": torch.randn(128, 32),
        "layers.0.mixer.out_proj.weight": torch.randn(32, 64),
    }
    assert list(read(state)) == ["embeddings", "layers.0.mixer.in_proj", "layers.0.mixer.out_proj"]
    reasons = left_out(state)
    assert reasons["layers.0.mixer.A_log"] == "a state matrix, no weights"
    assert reasons["layers.0.mixer.conv1d.weight"] == DEPTHWISE


@pytest.mark.parametrize("by_name", [False, True])
def test_groups_are_told_by_the_channels_of_the_layer_before(by_name):
    grouped = nn.Sequential(
        nn.Conv2d(3, 64, 7), nn.Conv2d(64, 128, 1), nn.Conv2d(128, 128, 3, groups=32), nn.Conv2d(128, 256, 1)
    )
    found = read(grouped.state_dict(), by_name=by_name)
    assert [found[layer].groups for layer in "0123"] == [1, 1, 32, 1]
    assert "read in 32 groups, by the channels of the layer before it" in found["2"].notes


def test_a_shortcut_is_not_taken_for_a_grouped_convolution():
    state = {
        "stem.weight": conv(64, 3),
        "layer1.conv1.weight": conv(256, 64, 1, 1),
        "layer2.conv1.weight": conv(128, 256, 1, 1),
        "layer2.conv2.weight": conv(512, 128),
        "layer2.downsample.0.weight": conv(512, 256, 1, 1),
    }
    found = read(state)
    assert found["layer2.downsample.0"].groups == 1
    assert found["layer2.downsample.0"].notes == ("read as a convolution in one group; it may have 2 groups",)


def test_layers_side_by_side_that_read_a_part_each_are_not_taken_for_grouped_ones():
    state = {"stem.weight": conv(64, 3), "paths.0.conv.weight": conv(64, 32), "paths.1.conv.weight": conv(64, 32)}
    found = read({**state, "fc.weight": torch.randn(10, 64)})
    for layer in ("paths.0.conv", "paths.1.conv"):
        assert found[layer].groups == 1
        assert found[layer].notes == ("read as a convolution in one group; it may have 2 groups",)


def test_layers_side_by_side_are_not_read_by_one_another():
    state = {"stem.weight": conv(64, 3), "paths.0.conv.weight": conv(128, 32), "paths.1.conv.weight": conv(128, 32)}
    assert {one.groups for one in read({**state, "fc.weight": torch.randn(10, 128)}).values()} == {1}


def test_two_branches_of_one_layer_are_not_read_by_one_another():
    state = {"stem.weight": conv(64, 3), "squeeze.weight": conv(16, 64, 1, 1), "one.weight": conv(64, 16, 1, 1)}
    assert read({**state, "three.weight": conv(64, 16), "fc.weight": torch.randn(10, 128)})["three"].groups == 1


# Which axis holds the units


def test_a_dense_layer_of_ones_own_is_told_by_its_bias():
    found = read({"w": torch.randn(3, 5), "b": torch.ones(5), "W2": torch.randn(5, 2), "b2": torch.ones(2)})
    assert {name: tuple(one.weight.shape) for name, one in found.items()} == {"w": (5, 3), "W2": (2, 5)}


def test_a_matrix_that_nothing_tells_of_is_left_out():
    assert left_out({"text.proj": torch.randn(5, 3), "fc.weight": torch.randn(2, 3)})["text.proj"] == UNTOLD


def test_relations_of_a_graph():
    state = {"conv1.weight": torch.randn(4, 16, 8), "conv1.root": torch.randn(16, 8), "conv1.bias": torch.ones(8)}
    found = read(state)
    assert (tuple(found["conv1"].weight.shape), found["conv1"].groups) == ((32, 16), 4)
    expected = state["conv1.weight"][2].T
    assert found["conv1"].weight[16:24].equal(expected)


def test_transposed_convolutions_are_told_by_the_batch_norm_behind():
    generator = nn.Sequential(
        nn.ConvTranspose2d(100, 64, 4, bias=False), nn.BatchNorm2d(64), nn.ConvTranspose2d(64, 32, 4, bias=False)
    )
    state = {**generator.state_dict(), "3.weight": torch.ones(32), "3.running_var": torch.ones(32)}
    assert [one.weight.shape[0] for one in read(state).values()] == [64, 32]


def test_gpt2_is_read_by_its_configuration():
    state = {"h.0.attn.c_proj.weight": torch.randn(4, 4), "h.0.mlp.c_fc.weight": torch.randn(4, 16)}
    found = read(state, {"model_type": "gpt2"})
    assert found["h.0.attn.c_proj"].weight.equal(state["h.0.attn.c_proj.weight"].T)
    assert found["h.0.mlp.c_fc"].weight.shape == (16, 4)


@pytest.mark.parametrize("inputs_first", [False, True])
@pytest.mark.parametrize("shown", ["router", "config", "bias"])
def test_experts_are_read_as_groups(inputs_first, shown):
    up, down = torch.randn(4, 24, 10), torch.randn(4, 10, 12)
    state = {"mlp.experts.gate_up_proj": up, "mlp.experts.down_proj": down}
    state = {name: one.transpose(1, 2).contiguous() if inputs_first else one for name, one in state.items()}
    config = {"hidden_size": 10} if shown == "config" else {}
    if shown == "router":
        state["mlp.gate.weight"] = torch.randn(4, 10)
    if shown == "bias":
        state |= {"mlp.experts.gate_up_proj_bias": torch.ones(4, 24), "mlp.experts.down_proj_bias": torch.ones(4, 10)}
    found = read(state, config)
    for layer, expected in (("mlp.experts.gate_up_proj", up), ("mlp.experts.down_proj", down)):
        assert found[layer].groups == 4 and found[layer].weight.equal(expected.reshape(-1, expected.shape[2]))


def test_experts_whose_axes_can_not_be_told_are_left_out():
    reasons = left_out({"experts.up": torch.randn(4, 6, 6), "fc.weight": torch.randn(2, 3)})
    assert reasons["experts.up"] == "a stack of matrices, which may be (inputs, units) or (units, inputs)"


# Embeddings


@pytest.mark.parametrize("name", ["shared", "embed_in", "wte", "word_embeddings", "tok_emb", "encoder.embed_tokens"])
def test_tables_known_by_name(name):
    assert read({f"{name}.weight": torch.randn(20, 16)})[name].unit_axis == 1


def test_a_plain_table_is_known_by_its_neighbors_or_the_configuration():
    state = {
        "e.weight": torch.randn(500, 16),
        "block.0.fc.weight": torch.randn(64, 16),
        "block.0.out.weight": torch.randn(16, 64),
        "lm.weight": torch.randn(500, 16),
    }
    for config in ({}, {"vocab_size": 500, "hidden_size": 16}):
        found = read(state, config)
        assert found["e"].unit_axis == 1 and "read as an embedding by" in found["e"].notes[0]
        assert found["lm"].unit_axis == 0
    assert read(state, {"vocab_size": 500, "hidden_size": 16})["e"].notes[0].count("config.json") == 1


@pytest.mark.parametrize("rows", [12, 30, 900])
def test_tables_at_the_beginning_are_known_by_their_place(rows):
    state = {"e.weight": torch.randn(rows, 16), "p.weight": torch.randn(32, 16), "a.weight": torch.randn(48, 16)}
    state |= {"a.bias": torch.ones(48), "b.weight": torch.randn(16, 48)}
    assert [one.unit_axis for one in read(state).values()] == [1, 1, 0, 0]


def test_a_table_that_can_not_be_told_from_a_layer_is_left_out():
    state = {"e.weight": torch.randn(30, 16), "f.weight": torch.randn(48, 16), "g.weight": torch.randn(16, 48)}
    assert left_out(state) == {"e.weight": TABLE_OR_LAYER}


def test_a_first_layer_that_others_read_is_no_table():
    state = {"0.weight": torch.randn(512, 16), "2.weight": torch.randn(16, 512), "4.weight": torch.randn(3, 16)}
    assert {one.unit_axis for one in read(state).values()} == {0}


def test_fused_projections_of_a_stack_are_no_tables():
    state = {f"layers.{i}.qkv_fused.weight": torch.randn(160, 16) for i in range(3)}
    state |= {f"layers.{i}.out.weight": torch.randn(16, 16) for i in range(3)}
    assert {one.unit_axis for one in read(dict(sorted(state.items()))).values()} == {0}


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("pos_embed", (1, 17, 8), "a table of positions, no layer's weights"),
        ("encoder.positional_embedding", (17, 8), "a table of positions, no layer's weights"),
        ("cls_token", (1, 1, 8), "learned tokens, no layer's weights"),
        ("attn.relative_position_bias_table", (49, 4), "a table of relative positions, no weights"),
        ("block.0.relative_attention_bias.weight", (32, 4), "a table of relative positions, no weights"),
        ("attn.rel_pos_h", (27, 8), "a table of relative positions, no weights"),
        ("norm1.weight", (8, 4, 4), "a norm's scale by its name"),
        ("layers.0.ln_1.weight", (8, 4), "a norm's scale by its name"),
        ("mixer.A", (16, 8), "a state matrix, no weights"),
        ("table", (16, 8), "no layer's weight by its name"),
    ],
)
def test_what_is_no_layer_is_left_out_by_its_name(name, shape, reason):
    assert left_out({"fc.weight": torch.randn(2, 3), name: torch.randn(shape)}) == {name: reason}


def test_a_scale_is_known_by_a_bias_of_its_own_shape():
    state = {"fc.weight": torch.randn(2, 3), "n.weight": torch.randn(7, 3), "n.bias": torch.randn(7, 3)}
    assert left_out(state)["n.weight"] == "a scale, as its bias is of the same shape"


# Reparametrizations


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weight_norm_is_put_together(norm, dim):
    layer = nn.Linear(6, 4)
    wanted = layer.weight.detach().clone()
    found = read({f"fc.{name}": one for name, one in norm(layer, dim=dim).state_dict().items()})
    assert list(found) == ["fc"]
    torch.testing.assert_close(found["fc"].weight, wanted)
    assert "weight norm's direction times its length" in found["fc"].notes


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_spectral_norm_is_read_as_stored_and_said_to_be(norm):
    layer = nn.Linear(6, 4)
    found = read({f"fc.{name}": one for name, one in norm(layer).state_dict().items()})
    assert list(found) == ["fc"] and "as stored, before its spectral normalization" in found["fc"].notes


def test_a_pruning_mask_is_applied():
    layer = nn.Linear(6, 4)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    found = read(layer.state_dict())
    assert (found["weight"].weight == 0).sum() == 12


# Dead units


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16)


class Early(nn.Module):
    """The norm comes before its convolution, as in residual networks with preactivation."""

    def __init__(self) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)
        self.bn2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3)


@pytest.mark.parametrize("by_name", [False, True])
def test_channels_that_a_batch_norm_has_switched_off_count_as_dead(by_name):
    state = Plain().state_dict()
    state["bn1.weight"][2] = 1e-6
    state["bn1.running_var"][5] = 1e-30
    state["bn2.weight"][:3] = 0.01  # small, and yet no zero
    found = read(state, by_name=by_name)
    assert found["conv1"].switched_off == (2, 5) and found["conv2"].switched_off == ()
    (layer,) = (one for one in weight_redundancy_report(state).layers if one.layer == "conv1")
    assert layer.constant_units == (2, 5) and layer.superfluous_share == 0.25


def test_a_small_variance_beside_a_smaller_epsilon_says_nothing():
    state = Plain().state_dict()
    state["bn1.running_var"].fill_(1e6)
    state["bn1.running_var"][1] = 1.0  # normalized like the others
    assert read(state)["conv1"].switched_off == ()


@pytest.mark.parametrize("by_name", [False, True])
def test_a_norm_before_its_convolution_says_nothing_of_it(by_name):
    state = Early().state_dict()
    state["bn1.weight"][2] = state["bn2.weight"][3] = 0
    assert all(one.switched_off == () for one in read(state, by_name=by_name).values())


def test_layers_in_sequence_and_names_of_efficientnet():
    state = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6))
    weights = state.state_dict()
    weights["1.weight"][3] = weights["4.weight"][5] = 0
    assert [one.switched_off for one in read(weights).values()] == [(3,), (5,)]
    weights = Small().state_dict()
    for norm in ("_bn0", "_blocks.0._bn0", "_blocks.0._bn2"):
        weights[f"{norm}.weight"][1] = 0
    off = {layer for layer, one in read(weights, by_name=True).items() if one.switched_off}
    assert off == {"_conv_stem", "_blocks.0._expand_conv", "_blocks.0._project_conv"}


def test_nearly_zero_filters_are_dead_and_no_copies():
    weight = torch.randn(20, 30)
    weight[4:6] = NEARLY_ZERO / 10 * weight[3]
    (layer,) = weight_redundancy_report({"fc.weight": weight}).layers
    assert layer.constant_units == (4, 5) and layer.n_copies == 0 and layer.superfluous_share == 0.1


# One odd tensor


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_tensors_never_end_the_report():
    class Own(Tensor):
        pass

    state = {
        "fc.weight": torch.randn(4, 6),
        "a.weight": torch.empty(2, 3, device="meta"),
        "b.weight": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "c.weight": torch.zeros(4, 2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
        "d.weight": torch.ones(2, 3).as_subclass(Own),
        "e.weight": torch.zeros(4, 2, dtype=torch.uint8).view(torch.float8_e8m0fnu),
    }
    assert list(read(state)) == ["fc"]
    assert left_out(state) == {
        "a.weight": "without numbers: it is on the meta device",
        "b.weight": "nested: its parts differ in shape",
        "c.weight": "stored as float4_e2m1fn_x2",
        "d.weight": "stored as Own",
        "e.weight": "stored as float8_e8m0fnu",
    }


def test_the_output_layer_of_a_file_sorted_by_name_is_known_by_its_name():
    state = {"fc.weight": torch.randn(3, 8), "layer1.weight": torch.randn(8, 8), "stem.weight": torch.randn(8, 4)}
    marks = {layer.layer: layer.is_output for layer in weight_redundancy_report(state).layers}
    assert marks == {"fc": True, "layer1": False, "stem": False}
    marks = {layer.layer: layer.is_output for layer in weight_redundancy_report(dict(reversed(state.items()))).layers}
    assert marks == {"stem": False, "layer1": False, "fc": True}


@pytest.mark.parametrize("name", ["table", "cache", "prototypes", "bank.keys", "queue"])
@pytest.mark.parametrize("shape", [(100, 8), (100, 5), (6, 8), (16, 8)])
def test_a_buffer_is_no_embedding_by_its_place(name, shape):
    layers = {"fc1.weight": torch.randn(16, 8), "fc1.bias": torch.ones(16), "fc2.weight": torch.randn(4, 16)}
    for state in ({name: torch.randn(shape), **layers}, {**layers, name: torch.randn(shape)}):
        assert left_out(state)[name] == "no layer's weight by its name"
        assert list(read(state)) == ["fc1", "fc2"]


def test_a_buffer_with_an_embeddings_name_is_one_if_a_layer_reads_its_columns():
    layers = {"fc1.weight": torch.randn(16, 8), "fc1.bias": torch.ones(16)}
    assert read({"emb": torch.randn(100, 8), **layers})["emb"].unit_axis == 1
    assert left_out({"emb": torch.randn(100, 5), **layers})["emb"] == "no layer's weight by its name"
