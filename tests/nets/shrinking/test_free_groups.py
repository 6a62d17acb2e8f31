"""What can be cut from networks, what reads it, and what it costs."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cofire.nets.shrinking.free_groups import Structure, structure, units_along
from cofire.nets.wiring.dimensions import Dimension, product, total


def found_in(model: nn.Module, x: Tensor, shared: tuple[str, ...] = ()) -> Structure:
    return structure(model.eval(), x, shared)


def multiplications(model: nn.Module, x: Tensor) -> int:
    """Count those of plain layers by their outputs."""
    counted = 0

    def count(module: nn.Module, _args: object, output: Tensor) -> None:
        nonlocal counted
        units = output.shape[1] if isinstance(module, nn.Conv2d) else output.shape[-1]
        counted += output.numel() // units * module.weight.numel()

    handles = [one.register_forward_hook(count) for one in model.modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    model(x)
    for handle in handles:
        handle.remove()
    return counted


NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), (5, 4)),
    "tokens": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), (5, 7, 4)),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.Conv2d(6, 6, 3, groups=6, stride=2),
            nn.ReLU(),
            nn.Conv2d(6, 4, (1, 2), dilation=2),
            nn.Flatten(),
            nn.Linear(48, 3),
        ),
        (5, 2, 9, 11),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_costs_are_parameters_and_multiplications_of_a_sample(name):
    make, shape = NETS[name]
    model, x = make(), torch.randn(shape)
    found = found_in(model, x)
    assert found.count({}) == sum(one.numel() for one in model.parameters())
    assert found.count({}, per="flops") * len(x) == multiplications(model, x)


@pytest.mark.parametrize("name", NETS)
def test_costs_at_other_sizes_are_those_of_a_network_of_these_sizes(name):
    make, shape = NETS[name]
    model, x = make(), torch.randn(shape)
    found = found_in(model, x)
    group = found.groups["0"]
    smaller = {group.leaf: group.n_units - 2}
    sizes = {
        one: [int(n) for n in (len_after(d, group.leaf) for d in found.wiring.dimensions[one])] for one in found.learned
    }
    assert found.count(smaller) == sum(torch.Size(size).numel() for size in sizes.values())


def len_after(dimension: Dimension, leaf: Dimension) -> int:
    units = units_along(dimension, leaf)
    assert units is not None
    return int((units < leaf.size - 2).sum())


def test_a_row_of_experts_meets_one_of_them():
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.w = nn.Linear(4, 16), nn.Parameter(torch.randn(3, 16, 5))

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.inner(x))
            return torch.bmm(h.expand(3, *h.shape), self.w).transpose(0, 1)

    found = found_in(Experts(), torch.randn(10, 4))
    assert found.count({}, per="flops") == 4 * 16 + 3 * 16 * 5


def test_what_takes_constants_in():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 8)
            self.plain, self.bare = nn.Linear(8, 3), nn.Linear(8, 3, bias=False)
            self.normed, self.norm = nn.Linear(8, 3, bias=False), nn.BatchNorm1d(3)
            self.beside, self.norm2 = nn.Linear(8, 3, bias=False), nn.BatchNorm1d(3)
            self.place = nn.Parameter(torch.randn(5, 3))
            self.w1, self.w2 = nn.Parameter(torch.randn(8, 3)), nn.Parameter(torch.randn(8, 3))
            self.b = nn.Parameter(torch.randn(3))

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.inner(x))
            beside = self.beside(h)
            y = self.plain(h) + self.bare(h) + self.norm(self.normed(h)) + self.norm2(beside) + beside
            return y + torch.addmm(self.place, h, self.w1) + torch.addmm(self.b, h, self.w2, alpha=0.5)

    found = found_in(Net(), torch.randn(5, 4))
    absorbers = {name: one.absorber for name, one in found.readers.items()}
    assert absorbers == {
        "plain.weight": "plain.bias",
        "bare.weight": "",
        "normed.weight": "norm.running_mean",
        "beside.weight": "",  # what else reads it would miss what the norm takes up
        "w1": "",  # one for each row
        "w2": "",  # scaled
    }


def test_a_bias_or_weight_of_several_layers_is_theirs_together():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.a(torch.tanh(self.a(torch.tanh(self.inner(x))))))
            return functional.linear(h, self.b.weight, self.a.bias[:3]) + self.b(h)

    readers = found_in(Twice(), torch.randn(5, 4)).readers
    assert readers["a.weight"].uses == 2 and readers["b.weight"].uses == 2
    assert readers["a.weight"].absorber == readers["b.weight"].absorber == ""


def test_reasons_for_what_is_left():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.inner, self.sorted = nn.Embedding(9, 6), nn.Linear(6, 5), nn.Linear(5, 4)
            self.one, self.out = nn.Linear(4, 1), nn.Linear(1, 9)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.one(self.sorted(self.inner(self.table(x))).sort(1).values))

    found = found_in(Net(), torch.randint(9, (7,)), ("table.weight", "out.weight"))
    assert list(found.groups) == ["inner"]
    assert found.left["out"] == "its units are the network's outputs"
    assert "sort" in found.left["sorted"]
    assert found.left["one"] == "it has one unit"
    assert "shares its memory" in found.left["table"]


def test_a_model_that_decides_by_values_is_left():
    class Net(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if float(x.sum()) > 0 else -x)

    found = found_in(Net(nn.Linear(4, 5), nn.Linear(5, 3)), torch.randn(5, 4))
    assert not found.groups and set(found.left) == {"0", "1"}
    assert all("could not be followed" in reason for reason in found.left.values())


def test_rows_of_grouped_products_begin_at_sixteen_bytes():
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Parameter(torch.randn(2, 4, 16)), nn.Parameter(torch.randn(2, 16, 4))

        def forward(self, x: Tensor) -> Tensor:
            ends = torch.tensor([len(x) // 2, len(x)], dtype=torch.int32)
            return torch._grouped_mm(torch.relu(torch._grouped_mm(x, self.up, ends)), self.down, ends)

    found = found_in(Experts(), torch.randn(8, 4))
    assert found.steps == {"up": 4}
    assert found_in(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)), torch.randn(8, 4)).steps == {}


def test_units_lie_where_their_dimension_has_them():
    heads, size = Dimension(3), Dimension(2)
    both = product([heads, size])
    assert units_along(both, heads).tolist() == [0, 0, 1, 1, 2, 2]  # pyright: ignore[reportOptionalMemberAccess]
    assert units_along(both, size).tolist() == [0, 1, 0, 1, 0, 1]  # pyright: ignore[reportOptionalMemberAccess]
    joined = total([both, Dimension(2), heads])
    found = units_along(joined, heads)
    assert found is not None and found.tolist() == [0, 0, 1, 1, 2, 2, -1, -1, 0, 1, 2]
    assert units_along(product([heads, size, heads]), heads) is None
