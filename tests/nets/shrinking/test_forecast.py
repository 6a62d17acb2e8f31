"""A forecast says what `shrink` then does."""

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.shrinking import forecast, shrink

from ..architectures import ARCHITECTURES, varied


def samples(n: int = 600) -> Tensor:
    return torch.randn(n, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    with torch.no_grad():
        model[0].weight[[7, 9]], model[0].bias[[7, 9]] = model[0].weight[[1, 2]], model[0].bias[[1, 2]]
        model[2].weight[5] = 0
    return model


def test_what_is_spare_goes_without_an_error():
    found, smaller = forecast(mlp(), samples()), shrink(mlp(), samples())
    assert found.spare == {"0": 2, "2": 1}
    assert found.spare == {name: cut.n_units - len(cut.kept) for name, cut in smaller.cuts.items()}
    assert found.spare_share == pytest.approx(smaller.share)
    assert found.left == smaller.left and found.n_parameters == smaller.n_parameters[0]


def test_the_curve_is_that_of_shrink_and_holds():
    found = forecast(mlp(), samples())
    for share in (0.8, 0.6):
        point = next(one for one in found.curve if one.share <= share)
        smaller = shrink(mlp(), samples(), keep=share)
        assert (point.share, point.predicted) == pytest.approx((smaller.share, smaller.predicted), rel=1e-6)
        assert smaller.measured / 2 < point.predicted < 2 * smaller.measured
    shares = [one.share for one in found.curve]
    assert shares == sorted(shares, reverse=True) and all(0.25 < one < 0.95 for one in shares)


@pytest.mark.parametrize("name", ["residual", "attention of any heads", "gated", "mobile"])
def test_layers_are_those_that_shrink_cuts(name):
    make, shape, _ = ARCHITECTURES[name]
    torch.manual_seed(2)
    model, x = varied(make()), torch.randn(120, *shape[1:], dtype=torch.float64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = forecast(model, x)
    cut = shrink(model, x, keep=found.curve[-1].share + 0.01).cuts
    assert {layer for one in cut.values() for layer in one.layers} <= found.layers
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_network_that_cant_be_cut_says_why():
    found = forecast(nn.Linear(6, 3).double(), samples())
    assert (found.layers, found.curve, found.spare, found.spare_share) == (frozenset(), (), {}, 1.0)
    assert "outputs" in str(found.left)


def test_what_cannot_be_done_is_said():
    with pytest.raises(ValueError, match="at least 3 samples, got 2"):
        forecast(mlp(), samples(2))
    broken = mlp()
    nn.init.constant_(broken[4].weight, torch.nan)
    with pytest.raises(ValueError, match="NaN or infinity"):
        forecast(broken, samples())
