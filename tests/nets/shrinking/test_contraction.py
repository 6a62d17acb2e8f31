"""Every product of a weight and data as rows and matrices, against what torch computes."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.shrinking.contraction import Contraction, columns_of, put, windows
from cofire.nets.shrinking.watching import Watch, running

Compute = Callable[[Tensor, Tensor], Tensor]


class Weight(nn.Module):
    """A weight, and what is computed with it and with data."""

    def __init__(self, compute: Compute, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.compute, self.w = compute, nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(x, self.w)


ENDS = torch.tensor([3, 3, 8], dtype=torch.int32)
# what is computed, the shape of the weight, that of the data, the axis of the weight that is summed over
CASES: dict[str, tuple[Compute, tuple[int, ...], tuple[int, ...], int]] = {
    "x @ w": (lambda x, w: x @ w, (4, 3), (5, 4), 0),
    "w @ x": (lambda x, w: w @ x, (3, 4), (4, 5), 1),
    "linear": (functional.linear, (3, 4), (5, 4), 1),
    "linear, tokens": (functional.linear, (3, 4), (2, 5, 4), 1),
    "linear, bias": (lambda x, w: functional.linear(x, w, torch.ones(3)), (3, 4), (5, 4), 1),
    "linear, tokens and bias": (lambda x, w: functional.linear(x, w, torch.ones(3)), (3, 4), (2, 5, 4), 1),
    "addmm": (lambda x, w: torch.addmm(torch.ones(3), x, w), (4, 3), (5, 4), 0),
    "addmm, weight first": (lambda x, w: torch.addmm(torch.ones(3, 1), w, x), (3, 4), (4, 5), 1),
    "mv, weight first": (lambda x, w: w @ x, (3, 4), (4,), 1),
    "mv, weight second": (lambda x, w: x @ w, (4,), (5, 4), 0),
    "addmv": (lambda x, w: torch.addmv(torch.ones(3), w, x), (3, 4), (4,), 1),
    "dot": (lambda x, w: torch.dot(x, w), (4,), (4,), 0),
    "bmm": (lambda x, w: torch.bmm(x, w), (2, 4, 3), (2, 5, 4), 1),
    "bmm, weight first": (lambda x, w: torch.bmm(w, x), (2, 3, 4), (2, 4, 5), 2),
    "baddbmm": (lambda x, w: torch.baddbmm(torch.ones(2, 1, 3), x, w), (2, 4, 3), (2, 5, 4), 1),
    "bmm, expanded": (lambda x, w: torch.bmm(x, w.expand(6, 4, 3)), (4, 3), (6, 5, 4), 0),
    "bmm, expanded, weight first": (lambda x, w: torch.bmm(w.expand(6, 3, 4), x), (3, 4), (6, 4, 5), 1),
    "einsum": (lambda x, w: torch.einsum("bth,ho->bto", x, w), (4, 3), (2, 5, 4), 0),
    "einsum, heads": (lambda x, w: torch.einsum("bth,hkd->btkd", x, w), (4, 2, 3), (2, 5, 4), 0),
    "einsum, experts": (lambda x, w: torch.einsum("ebh,eho->ebo", x, w), (3, 4, 2), (3, 5, 4), 1),
    "conv1d": (functional.conv1d, (3, 4, 3), (2, 4, 7), 1),
    "conv2d": (
        lambda x, w: functional.conv2d(x, w, torch.ones(3), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        (3, 4, 3, 2),
        (2, 4, 7, 6),
        1,
    ),
    "conv2d in groups": (lambda x, w: functional.conv2d(x, w, groups=2, padding=1), (6, 2, 3, 3), (2, 4, 5, 5), 1),
    "conv2d, depthwise": (lambda x, w: functional.conv2d(x, w, groups=4), (8, 1, 3, 3), (2, 4, 5, 5), 1),
    "conv3d": (functional.conv3d, (3, 2, 2, 3, 1), (2, 2, 3, 4, 2), 1),
    "conv1d, one sample": (functional.conv1d, (3, 4, 3), (4, 7), 1),
    "conv1d, same": (lambda x, w: functional.conv1d(x, w, padding="same"), (3, 4, 3), (2, 4, 7), 1),
    "grouped_mm": (lambda x, w: torch._grouped_mm(x, w, ENDS), (3, 4, 8), (8, 4), 1),
}
TRANSPOSED: dict[str, tuple[Compute, tuple[int, ...], tuple[int, ...], int]] = {
    "conv1d": (functional.conv_transpose1d, (4, 3, 3), (2, 4, 7), 0),
    "conv2d": (
        lambda x, w: functional.conv_transpose2d(
            x, w, torch.ones(3), stride=(2, 3), padding=1, output_padding=1, dilation=(2, 1)
        ),
        (4, 3, 3, 2),
        (2, 4, 4, 5),
        0,
    ),
}
ALL = CASES | {f"transposed {name}": case for name, case in TRANSPOSED.items()}


def seen_in(net: Weight, x: Tensor) -> tuple[Contraction, Tensor]:
    """Return the only product of a pass, and what it put out."""
    seen = []

    def see(name: str, one: Contraction, run: Callable[[], Tensor]) -> Tensor:
        assert name == "w"
        seen.append((one, run()))
        return seen[-1][1]

    with running(net), Watch(net, see):
        net(x)
    (found,) = seen
    return found


def made(name: str) -> tuple[Weight, Tensor]:
    compute, shape, data, _ = ALL[name]
    return Weight(compute, shape), torch.randn(data)


@pytest.mark.parametrize("name", CASES)
def test_rows_times_matrices_are_what_the_operation_puts_out(name):
    one, output = seen_in(*made(name))
    wanted = one.output_rows(output)
    assert wanted is not None
    added = 1.0 if one.adds else 0.0
    for rows, matrix, product, made_by_it in zip(one.rows(), one.matrices(), one.products(), wanted, strict=True):
        torch.testing.assert_close(rows @ matrix.T + added, made_by_it)
        torch.testing.assert_close(product + added, made_by_it)
    assert sum(part.numel() for part in wanted) == output.numel()


@pytest.mark.parametrize("name", TRANSPOSED)
def test_a_transposed_convolution_sums_its_products_where_they_overlap(name):
    net, x = made(f"transposed {name}")
    one, output = seen_in(net, x)
    assert one.output_rows(output) is None
    basis = torch.zeros_like(net.w)
    expected = torch.zeros_like(output)
    (product,) = one.products()
    for column, values in enumerate(product.T):  # each output channel and tap, laid where a single tap would put it
        basis.zero_()
        basis[0].view(-1)[column] = 1
        alone = torch.zeros_like(x)
        alone[:, 0] = values.view(x.movedim(1, -1).shape[:-1])
        expected += net.compute(alone, basis) - net.compute(torch.zeros_like(x), basis)
    torch.testing.assert_close(expected, output - float(one.adds))


@pytest.mark.parametrize("name", ALL)
def test_gradients_times_rows_are_the_weights_gradient(name):
    net, x = made(name)
    seen: list[Contraction] = []
    gradients: list[list[Tensor]] = []

    def see(_name: str, one: Contraction, run: Callable[[], Tensor]) -> Tensor:
        seen.append(one)
        return run()

    watch = Watch(net, see, lambda _name, blocks: gradients.append(blocks))
    with running(net, gradients=True), watch:
        output = net(x.requires_grad_())
        loss = (output * torch.randn_like(output)).sum()
        watch.backward = True
        loss.backward()
    (one,), (blocks,) = seen, gradients
    assert net.w.grad is not None
    grad = net.w.grad
    in_use = replace(one, weight=viewed_as(grad, one, net.w))
    with torch.no_grad():
        for rows, gradient, expected in zip(one.rows(), blocks, in_use.matrices(), strict=True):
            torch.testing.assert_close(gradient.T @ rows, expected)


def viewed_as(tensor: Tensor, one: Contraction, parameter: Tensor) -> Tensor:
    """Return a tensor of the parameter's shape in the view in which the operation used that."""
    held = torch.empty_strided(parameter.shape, parameter.stride()).copy_(tensor)
    return held.as_strided(one.weight.size(), one.weight.stride(), one.weight.storage_offset())


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_put_writes_what_matrices_read(name):
    net, x = made(name)
    one, _ = seen_in(net, x)
    before = net.w.detach().clone()
    new = [torch.randn_like(part) for part in one.matrices()]
    put(new, one)
    for part, expected in zip(one.matrices(), new, strict=True):
        assert torch.equal(part, expected)
    put([part.clone() for part in one.matrices(viewed_as(before, one, net.w))], one)
    assert torch.equal(net.w, before)


@pytest.mark.parametrize("name", ALL)
def test_columns_are_labelled_by_the_axis_that_is_summed_over(name):
    net, x = made(name)
    one, _ = seen_in(net, x)
    axis = ALL[name][3]
    shape = [1] * net.w.dim()
    shape[axis] = -1
    labels = torch.arange(net.w.shape[axis]).view(shape).expand(net.w.shape)
    found = columns_of(labels, net.w, one)
    assert found is not None
    for unit in range(net.w.shape[axis]):
        marked = torch.zeros_like(net.w)
        marked.select(axis, unit).fill_(1.0)
        for matrix, columns in zip(one.matrices(viewed_as(marked, one, net.w)), found, strict=True):
            assert torch.equal(matrix.any(0), columns == unit)


@pytest.mark.parametrize("name", ["x @ w", "conv2d", "einsum, heads", "bmm", "transposed conv1d"])
def test_an_axis_of_outputs_labels_no_columns(name):
    net, x = made(name)
    one, _ = seen_in(net, x)
    axis = net.w.dim() - 1 if ALL[name][3] < net.w.dim() - 1 and not name.startswith(("conv", "trans")) else 0
    axis = 1 if name.startswith("trans") else axis
    shape = [1] * net.w.dim()
    shape[axis] = -1
    labels = torch.arange(net.w.shape[axis]).view(shape).expand(net.w.shape)
    assert columns_of(labels, net.w, one) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)), min_size=1, max_size=3
    ),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2**16),
)
def test_windows_times_filters_are_a_convolution(axes, groups, per_group, seed):
    """Each axis has a kernel's size, a stride, a padding and a dilation."""
    generator = torch.Generator().manual_seed(seed)
    kernel, stride, padding, dilation = map(list, zip(*axes, strict=True))
    sizes = [dilate * (size - 1) + 3 for size, dilate in zip(kernel, dilation, strict=True)]
    x = torch.randn(2, groups * per_group, *sizes, generator=generator, dtype=torch.float64)
    weight = torch.randn(2 * groups, per_group, *kernel, generator=generator, dtype=torch.float64)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[len(kernel) - 1]
    expected = convolve(x, weight, None, stride, padding, dilation, groups)
    found = windows(x, kernel, stride, padding, dilation, groups)
    rows = [part @ matrix.T for part, matrix in zip(found, weight.flatten(1).chunk(groups), strict=True)]
    torch.testing.assert_close(torch.cat(rows, 1), expected.movedim(1, -1).reshape(-1, 2 * groups))
    assert len(found[0]) == 2 * math.prod(expected.shape[2:])


def test_products_of_two_weights_or_of_data_alone_are_none():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x.T @ x + (self.a @ self.b).sum()

    net, seen = Net(), []
    with running(net), Watch(net, lambda name, _one, run: (seen.append(name), run())[1]):
        net(torch.randn(5, 4))
    assert not seen
