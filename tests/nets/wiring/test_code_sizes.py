"""Which numbers of modules count which dimensions, in code of one's own and in that of transformers."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cofire.nets.wiring.code_sizes import Attribute, Size, as_predicted, code_sizes, ran_operations
from cofire.nets.wiring.dimensions import Dimension
from cofire.nets.wiring.wiring import as_arguments, wire


def counted(model: nn.Module, example: Any) -> dict[Attribute, tuple[Dimension, ...]]:
    model.eval()
    return code_sizes(model, as_arguments(example), wire(model, example))


def names(found: dict[Attribute, tuple[Dimension, ...]]) -> dict[str, list[int]]:
    """Return the sizes of the dimensions that each number counts, by its name as one would write it."""
    return {
        f"{one.module}.{one.name}".lstrip(".") + (f"[{one.entry}]" if one.entry >= 0 else ""): [d.size for d in counts]
        for one, counts in found.items()
    }


class Own(nn.Module):
    """Attention whose sizes ``split`` takes from numbers of the module."""

    def __init__(self, split: Callable[[Any, Tensor], Tensor], **numbers: Any) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = nn.Linear(6, 12), nn.Linear(6, 12), nn.Linear(6, 12), nn.Linear(12, 5)
        self.split = split
        for name, value in numbers.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.split(self, layer(x)) for layer in (self.q, self.k, self.v))
        mixed = torch.einsum("bqhd,bkhd->bhqk", q, k).softmax(-1)
        return self.out(torch.einsum("bhqk,bkhd->bqhd", mixed, v).flatten(2))


# how the code splits heads, its numbers, and the sizes of the dimensions that they are found to count
SPLITS: dict[str, tuple[Callable[[Any, Tensor], Tensor], dict[str, Any], dict[str, list[int]]]] = {
    "view": (
        lambda m, x: x.view(*x.shape[:2], m.num_heads, m.head_dim),
        {"num_heads": 3, "head_dim": 4},
        {"num_heads": [3], "head_dim": [4, 4]},  # that of queries and keys, and that of values
    ),
    "reshape": (
        lambda m, x: x.reshape((x.shape[0], x.shape[1], m.num_heads, -1)),
        {"num_heads": 3},
        {"num_heads": [3]},
    ),
    "unflatten": (
        lambda m, x: x.unflatten(-1, (m.num_heads, m.head_dim)),
        {"num_heads": 3, "head_dim": 4},
        {"num_heads": [3], "head_dim": [4, 4]},
    ),
    "tuple": (lambda m, x: x.view(*x.shape[:2], *m.sizes), {"sizes": (3, 4)}, {"sizes[0]": [3], "sizes[1]": [4, 4]}),
    "list": (lambda m, x: x.view(*x.shape[:2], *m.sizes), {"sizes": [3, 4]}, {"sizes[0]": [3], "sizes[1]": [4, 4]}),
    "size": (
        lambda m, x: x.view(*x.shape[:2], *m.sizes),
        {"sizes": torch.Size((3, 4))},
        {"sizes[0]": [3], "sizes[1]": [4, 4]},
    ),
    "same numbers that count other things": (
        lambda m, x: x.view(*x.shape[:2], m.num_heads, -1),
        {"num_heads": 3, "n_layers": 3, "kernel": (3, 4)},
        {"num_heads": [3]},
    ),
    "a product": (
        lambda m, x: torch.zeros(len(x), 1, m.num_heads * m.head_dim).add(x).view(*x.shape[:2], m.num_heads, -1),
        {"num_heads": 3, "head_dim": 4},
        {"num_heads": [3], "head_dim": [4, 4]},
    ),
    "written out": (lambda m, x: x.view(*x.shape[:2], 3, 4), {"num_heads": 3, "head_dim": 4}, {}),
}


@pytest.mark.parametrize("name", SPLITS)
def test_numbers_are_followed_to_the_dimensions_that_they_count(name):
    split, numbers, expected = SPLITS[name]
    assert names(counted(Own(split, **numbers), torch.randn(2, 5, 6))) == expected


def test_numbers_of_the_model_stay_plain():
    model = Own(SPLITS["tuple"][0], sizes=(3, 4), num_heads=3)
    counted(model, torch.randn(2, 5, 6))
    assert type(model.num_heads) is int and type(model.sizes) is tuple and type(model.sizes[0]) is int


def test_code_that_takes_no_number_of_ours_has_none():
    def split(module: Any, x: Tensor) -> Tensor:
        if type(module.num_heads) is not int:
            raise TypeError("not an int")
        return x.view(*x.shape[:2], module.num_heads, -1)

    assert counted(Own(split, num_heads=3), torch.randn(2, 5, 6)) == {}


def test_sizes_multiply_as_numbers_and_remember():
    a, b = (Size.made(n, ((Attribute("", name), n),)) for n, name in ((3, "a"), (4, "b")))
    assert a * b == 12 and (a * b).of == ((Attribute("", "a"), 3), (Attribute("", "b"), 4))
    assert (2 * a).of == ((None, 2), (Attribute("", "a"), 3)) and (a * 2).of == ((Attribute("", "a"), 3), (None, 2))
    assert a * 0.5 == 1.5 and 0.5 * a == 1.5 and type(a + 1) is int


TEXT = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24}
TEXT |= {"max_position_embeddings": 20, "pad_token_id": 0, "use_cache": False}
GPT2 = {"vocab_size": 30, "n_embd": 16, "n_layer": 1, "n_head": 4, "n_positions": 20, "use_cache": False}
GPT2 |= {"bos_token_id": 0, "eos_token_id": 0}
VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24}
VIT |= {"image_size": 16, "patch_size": 8}
TOKENS, IMAGES = {"input_ids": torch.arange(1, 15).view(2, 7)}, {"pixel_values": torch.zeros(2, 3, 16, 16)}
HEAD_SIZES = {
    "Bert": (TEXT, TOKENS, "attention_head_size"),
    "GPT2": (GPT2, TOKENS, "head_dim"),
    "Llama": (TEXT | {"num_key_value_heads": 4, "head_dim": 4}, TOKENS, "head_dim"),
    "ViT": (VIT, IMAGES, "head_dim"),
}


@pytest.mark.parametrize("name", HEAD_SIZES)
def test_sizes_of_heads_in_transformers(name):
    transformers = importlib.import_module("transformers")
    numbers, example, attribute = HEAD_SIZES[name]
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**numbers))
    found = {name.rpartition(".")[2]: sizes for name, sizes in names(counted(model, example)).items()}
    assert set(found[attribute]) == {4}
    if name == "GPT2":
        assert set(found["split_size"]) == {16}


def test_a_smaller_network_runs_the_operations_that_are_predicted():
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(2, 6)
    model.eval()
    wiring = wire(model, x)
    (group,) = [one for one in wiring.groups if not one.fixed]
    smaller = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    other = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    ran = ran_operations(smaller, as_arguments(x))
    assert as_predicted(wiring.operations, ran, {group.leaf: 5})
    assert not as_predicted(wiring.operations, ran, {group.leaf: 4})
    assert not as_predicted(wiring.operations, ran_operations(other, as_arguments(x)), {group.leaf: 5})


def test_shapes_are_those_at_the_operation():
    class Turned(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).transpose_(0, 1)

    shapes = [shape for _, shapes in ran_operations(Turned(6, 3), as_arguments(torch.zeros(2, 6))) for shape in shapes]
    assert shapes[-2:] == [(2, 3), (3, 2)]


def test_what_a_forward_raises_at_another_size_comes_out():
    model = Own(SPLITS["written out"][0])
    model.q = nn.Linear(6, 8)
    with pytest.raises(RuntimeError, match="invalid"):
        ran_operations(model, as_arguments(torch.randn(2, 5, 6)))
