import pytest
import torch
from torch import Tensor, nn

import cofire
from cofire.nets import Site
from cofire.nets.layer_names import clean
from cofire.nets.layers.sites import Request, asked_layers, exact_sites


class Net(nn.Module):
    """A nested encoder, a head of one unit, and modules that make none."""

    def __init__(self) -> None:
        super().__init__()
        pooled = nn.Sequential(nn.Linear(4, 4), nn.MaxPool1d(2))
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Dropout(), pooled)
        self.head, self.flat, self.spare = nn.Linear(2, 1), nn.Flatten(), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(self.encoder(x)))


@pytest.fixture
def model() -> nn.Module:
    return Net()


EXAMPLE = torch.ones(3, 4)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["encoder.0", "encoder.3.0", "head"]),
        ("encoder.*", ["encoder.0", "encoder.3.0"]),
        ("encoder.[01]", ["encoder.0"]),
        ("encoder", ["encoder"]),
        ("encoder.1", ["encoder.1"]),
        (r"re:.*\d", ["encoder.0", "encoder.3.0"]),
        (nn.Linear, ["encoder.0", "encoder.3.0", "head"]),
        (nn.Sequential, ["encoder", "encoder.3"]),
        (nn.GELU, ["encoder.1"]),
        (lambda name, module: isinstance(module, nn.GELU) or name == "head", ["head"]),
        (["head", "encoder.0"], ["head", "encoder.0"]),
        (["*", "!encoder.*"], ["head"]),
        ("!head", ["encoder.0", "encoder.3.0"]),
        (["head", nn.Linear], ["head", "encoder.0", "encoder.3.0"]),
        (["head", "head:pre"], ["head", "head:pre"]),
        (Site("head", "pre"), ["head:pre"]),
    ],
)
def test_patterns(model, pattern, expected):
    assert [str(site) for site in cofire.nets.sites(model, pattern, example=EXAMPLE)] == expected


def test_without_an_example_layers_are_assumed_by_their_types(model):
    found = cofire.nets.sites(model)
    assert [site.layer for site in found] == ["encoder.0", "encoder.3.0", "head", "spare"]
    assert all("no example" in found.assumed[site.layer] for site in found)
    assert not cofire.nets.sites(model, example=EXAMPLE).assumed


def test_left_out_says_why(model):
    left_out = cofire.nets.sites(model, example=EXAMPLE).left_out
    assert left_out["spare"] == "never ran"
    assert left_out["encoder.2"] == left_out["flat"] == left_out["encoder"] == "makes no units of its own"
    assert "head" not in left_out


def test_levels_that_the_output_does_not_show_are_named():
    left_out = cofire.nets.sites(nn.Sequential(nn.LSTM(3, 4, num_layers=2)), example=torch.ones(5, 2, 3)).left_out
    assert left_out["0.ih_l0"] == left_out["0.hh_l0"] == "its units do not show in the output of 0"
    assert "0.ih_l1" not in left_out


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("heads", "did you mean 'head'"),
        ("re:(", "not a valid regular expression"),
        (nn.Conv2d, "no layer of the model matches"),
        ([], "leaves no layer"),
        (["head", "!head"], "all are excluded"),
        (3, "got int"),
        (Site("hed"), "did you mean 'head'"),
        ("re:nothing", "there are|did you mean"),
    ],
)
def test_bad_patterns_say_what_to_do(model, pattern, message):
    with pytest.raises(ValueError, match=message):
        cofire.nets.sites(model, pattern)
    with pytest.raises(ValueError, match=message):
        cofire.nets.Capture(model, pattern)


def test_stage_is_checked(model):
    with pytest.raises(ValueError, match="'pre' or 'post'"):
        cofire.nets.sites(model, stage="middle")


def test_lists_of_modules_cannot_be_captured():
    with pytest.raises(ValueError, match="never called"):
        cofire.nets.Capture(nn.Sequential(nn.ModuleList([nn.Linear(2, 2)])), "0")


def test_modules_of_the_users_own_make_units_where_their_parameters_do():
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(nn.Linear(2, 2).weight)

        def forward(self, x):
            return x @ self.weight

    class Swish(nn.Module):
        def forward(self, x):
            return x * x.sigmoid()

    class DropPath(Swish):
        pass

    found = cofire.nets.sites(nn.Sequential(Layer(), Swish(), DropPath(), nn.LayerNorm(2)), example=torch.ones(3, 2))
    assert [site.layer for site in found] == ["0"]
    assert set(found.left_out) == {"1", "2", "3"}


def test_a_site_is_its_name_and_a_sequence_slices(model):
    found = cofire.nets.sites(model, example=EXAMPLE)
    assert found[0] == Site("encoder.0") == Site("encoder.0", unit_axis=2)
    assert len(found[1:]) == len(found) - 1
    assert {Site("a"): 1}[Site("a", unit_axis=1)] == 1


def test_what_is_asked_for_is_known_before_the_model_runs(model):
    requests = [Request(["head", "encoder.*", "!encoder.1"], "pre")]
    assert requests[0] == Request(("head", "encoder.*", "!encoder.1"), "pre") and hash(requests[0])
    assert asked_layers(model, requests) == {
        "head",
        "encoder.0",
        "encoder.2",
        "encoder.3",
        "encoder.3.0",
        "encoder.3.1",
    }
    assert exact_sites(model, requests) == [Site("head", "pre")]


def test_wrappers_are_cleaned_from_names():
    assert clean("_orig_mod.a._fsdp_wrapped_module.b") == "a.b"
    assert clean("module.a") == "module.a"
