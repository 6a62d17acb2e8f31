"""Penalties inside the transforms of torch.func, and on tensors that hold no plain numbers."""

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.penalties import (
    CorrelationPenalty,
    WeightCorrelationPenalty,
    correlation_penalty,
    decov_penalty,
    vicreg_covariance_penalty,
    weight_correlation_penalty,
)

PENALTIES = {
    "correlation": correlation_penalty,
    "debiased": lambda x: correlation_penalty(x, debiased=True),
    "strongest": lambda x: correlation_penalty(x, top=0.4),
    "channels": lambda x: correlation_penalty(x[:, None, :, None], unit_axis=2),
    "decov": decov_penalty,
    "vicreg": vicreg_covariance_penalty,
    "weights": weight_correlation_penalty,
}


@pytest.fixture(params=PENALTIES)
def penalty(request):
    return PENALTIES[request.param]


@pytest.fixture(params=[(7, 3), (4, 12)], ids=str)
def batches(request) -> Tensor:
    x = torch.randn(5, *request.param, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[:, :, 1] = 2.0  # a constant unit
    return x


def gradient(penalty, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(penalty(x), x)[0]


def test_torch_func_gives_what_autograd_gives(penalty, batches):
    for x in batches:
        torch.testing.assert_close(torch.func.grad(penalty)(x), gradient(penalty, x))
        found, vjp = torch.func.vjp(penalty, x)
        torch.testing.assert_close(found, penalty(x))
        torch.testing.assert_close(vjp(torch.ones_like(found))[0], gradient(penalty, x))


def test_vmap_gives_what_a_loop_gives(penalty, batches):
    torch.testing.assert_close(torch.vmap(penalty)(batches), torch.stack([penalty(x) for x in batches]))
    found = torch.vmap(torch.func.grad(penalty))(batches)
    torch.testing.assert_close(found, torch.stack([gradient(penalty, x) for x in batches]))
    by_last = torch.vmap(penalty, in_dims=2)(batches.movedim(0, 2))
    torch.testing.assert_close(by_last, torch.stack([penalty(x) for x in batches]))


def test_second_derivatives_are_the_same(penalty, batches):
    x = batches[0, :, :3]

    def length(x: Tensor) -> Tensor:
        return torch.func.grad(penalty)(x).square().sum()

    def usual(x: Tensor) -> Tensor:
        return torch.autograd.grad(penalty(x), x, create_graph=True)[0].square().sum()

    torch.testing.assert_close(torch.func.grad(length)(x), gradient(usual, x))


def test_a_penalty_of_a_functional_model_learns_as_a_plain_one():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    x, weights = torch.randn(9, 4), dict(model.named_parameters())
    with CorrelationPenalty(model, "0") as penalty:

        def loss(weights: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(model, weights, (x,)).sum() + penalty()

        found = torch.func.grad(loss)(weights)
        assert penalty.value.item() == penalty.values["0"].item() > 0  # alive after the transform
        expected = torch.autograd.grad(model(x).sum() + penalty(), list(weights.values()))
    for one, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_values_inside_vmap_are_one_for_each_of_the_batch(batches):
    penalty = CorrelationPenalty()
    torch.vmap(lambda x: penalty(x, x))(batches)
    expected = torch.stack([correlation_penalty(x) for x in batches])
    torch.testing.assert_close(penalty.values["0"], expected)
    torch.testing.assert_close(penalty.value, 2 * expected)


def test_a_penalty_on_weights_learns_under_functional_call():
    model = nn.Linear(4, 6)
    penalty = WeightCorrelationPenalty()
    found = torch.func.grad(lambda weight: penalty(weight))(model.weight.detach())
    penalty(model.weight).backward()
    torch.testing.assert_close(found, model.weight.grad)


KINDS = {
    "meta": lambda x: x.to("meta"),
    "sparse": Tensor.to_sparse,
    "csr": Tensor.to_sparse_csr,
    "mkldnn": Tensor.to_mkldnn,
    "quantized": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    "nested": lambda x: torch.nested.nested_tensor([x, x[:3]]),
    "jagged": lambda x: torch.nested.nested_tensor([x, x[:3]], layout=torch.jagged),
    "complex": lambda x: x + 0j,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "penalty", [correlation_penalty, decov_penalty, vicreg_covariance_penalty, weight_correlation_penalty]
)
@pytest.mark.filterwarnings("ignore")  # torch's, of making such tensors
def test_tensors_without_plain_numbers_are_refused_in_words(penalty, kind):
    wanted = (
        "meta device and hold no numbers; give" if kind == "meta" else "must be a dense tensor of real numbers, got"
    )
    with pytest.raises(ValueError, match=wanted):
        penalty(KINDS[kind](torch.randn(7, 3)))
