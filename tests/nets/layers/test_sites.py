import pytest
from torch import nn

import cofire
from cofire.nets import Site
from cofire.nets.layer_names import clean


@pytest.fixture
def model() -> nn.Module:
    encoder = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Dropout(), nn.Sequential(nn.Linear(4, 4), nn.MaxPool1d(2)))
    return nn.ModuleDict({"encoder": encoder, "head": nn.LazyLinear(3), "loss": nn.MSELoss(), "flat": nn.Flatten()})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["encoder.0", "encoder.1", "encoder.3.0", "head"]),
        ("encoder.*", ["encoder.0", "encoder.1", "encoder.3.0"]),
        ("encoder.[01]", ["encoder.0", "encoder.1"]),
        ("encoder", ["encoder"]),
        ("encoder.2", ["encoder.2"]),
        (r"re:.*\d", ["encoder.0", "encoder.1", "encoder.3.0"]),
        (nn.Linear, ["encoder.0", "encoder.3.0", "head"]),
        (nn.Sequential, ["encoder", "encoder.3"]),
        (lambda name, module: isinstance(module, nn.GELU) or name == "head", ["encoder.1", "head"]),
        (["head", "encoder.0"], ["head", "encoder.0"]),
        (["*", "!encoder.*"], ["head"]),
        (["head", nn.Linear], ["head", "encoder.0", "encoder.3.0"]),
        (["head", "head:pre"], ["head", "head:pre"]),
        (Site("head", "pre"), ["head:pre"]),
    ],
)
def test_patterns(model, pattern, expected):
    assert [str(site) for site in cofire.sites(model, pattern)] == expected


def test_left_out_says_why(model):
    left_out = cofire.sites(model).left_out
    assert left_out["encoder.2"] == "dropout"
    assert left_out["encoder.3.1"] == "pooling"
    assert left_out["loss"] == "a loss"
    assert "Flatten" in left_out["flat"]
    assert "holds other modules" in left_out["encoder"]
    assert "head" not in left_out


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
        cofire.sites(model, pattern)


def test_stage_is_checked(model):
    with pytest.raises(ValueError, match="'pre' or 'post'"):
        cofire.sites(model, stage="middle")


def test_lists_of_modules_cannot_be_captured():
    with pytest.raises(ValueError, match="never called"):
        cofire.nets.Capture(nn.Sequential(nn.ModuleList([nn.Linear(2, 2)])), "0")


def test_custom_modules():
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

    class Holder(nn.Module):
        pass

    model = nn.Sequential(Layer(), Swish(), DropPath(), Holder())
    found = cofire.sites(model)
    assert [site.layer for site in found] == ["0", "1"]
    assert found.left_out == {"2": "DropPath has no weights", "3": "Holder has no forward"}


def test_a_site_is_its_name_and_a_sequence_slices(model):
    found = cofire.sites(model)
    assert found[0] == Site("encoder.0") == Site("encoder.0", unit_axis=2)
    assert len(found[1:]) == len(found) - 1
    assert {Site("a"): 1}[Site("a", unit_axis=1)] == 1


def test_wrappers_are_cleaned_from_names():
    assert clean("_orig_mod.a._fsdp_wrapped_module.b") == "a.b"
    assert clean("module.a") == "module.a"
