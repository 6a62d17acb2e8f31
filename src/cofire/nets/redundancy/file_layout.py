"""What the tensors of a file say of one another: without a model, a weight is known by its neighbors."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from ..tensor_kinds import unusable
from .parameter_names import (
    bias_of,
    embeds,
    is_fused,
    layer_of,
    looks_like_matrix,
    looks_like_weight,
    makes_outputs,
    no_weights,
)

_CONV1D = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")
"""Model types of transformers whose dense layers store (inputs, units)."""
_CONV1D_LAYERS = re.compile(r"(^|\.)(c_attn|q_attn|c_proj|c_fc)\.weight$")
MANY = 4
"""A matrix with this many times more rows than columns is taken for a table, where its place does not tell."""
_MANY_ROWS = "its many rows, which no layer reads, and its columns, which others read"
_VOCABULARY = ("vocab_size", "n_vocab", "vocabulary_size", "num_embeddings", "n_src_vocab")
_WIDTH = ("hidden_size", "d_model", "n_embd", "embedding_size", "dim", "word_embed_proj_dim")
_SQUEEZE = re.compile(r"(^|[._])(se|squeeze|sq|reduce|attn|fc1|fc2)([._]|\d|$)")


@dataclass(frozen=True, eq=False)
class FileLayout:
    """The weights of a file, with what their neighbors and a configuration say.

    Attributes:
        weights: tensors by name, in the order of the file.
        config: what a ``config.json`` says; empty if there is none.
    """

    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]

    @cached_property
    def order_is_known(self) -> bool:
        """Whether the file holds the network's order: one sorted by name does not, as safetensors writes it."""
        names = list(self.weights)
        return names != sorted(names) or len(names) < 3

    @cached_property
    def makers(self) -> list[str]:
        """The tensors that look like weights of layers, in the network's order as far as it is known."""
        names = [
            name
            for name, tensor in self.weights.items()
            if unusable(tensor) is None and no_weights(name) is None and (looks_like_weight(name) or tensor.ndim == 2)
        ]
        return names if self.order_is_known else sorted(names, key=_naturally)

    @cached_property
    def turned(self) -> dict[str, str]:
        """The weights that are stored as (inputs, units, ...), with what shows it.

        Square ones tell nothing, and follow those of the same last name that do.
        """
        told = {name: one for name in self.makers if (one := self._told(name)) is not None}
        turned = {name: reason for name, reason in told.items() if reason}
        upright = {_kind(name) for name, reason in told.items() if not reason}
        alike = {_kind(name): reason for name, reason in turned.items() if _kind(name) not in upright}
        for name in self.makers:
            tensor = self.weights[name]
            square = tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1] and name.endswith(".weight")
            if square and name not in told and _kind(name) in alike:
                turned[name] = "the biases of others of its name show that it is stored as (inputs, units)"
        return turned

    def _told(self, name: str) -> str | None:
        """Return what shows that a weight stores inputs first; "" if it stores units first, None if nothing tells."""
        weight = self.weights[name]
        if weight.ndim < 2 or embeds(name) or not (looks_like_weight(name) or looks_like_matrix(name)):
            return None
        if self.config.get("model_type") in _CONV1D and _CONV1D_LAYERS.search(name):
            return f"config.json says {self.config['model_type']}, which stores (inputs, units)"
        first, second = weight.shape[:2]
        bias, norm = bias_of(name, self.weights), self.norms.get(name)
        if bias is not None and bias.ndim == 1 and first != second and len(bias) in (first, second):
            return "its bias shows that it is stored as (inputs, units)" if len(bias) == second else ""
        if weight.ndim > 2 and norm and first != second:
            length = len(self.weights[f"{norm}.running_var"])
            return "the batch norm behind it shows that it is stored as (inputs, units)" if length == second else ""
        return None

    def units(self, name: str) -> int:
        """Return how many units a weight makes, the features of a table included."""
        shape = self.weights[name].shape
        return shape[1] if name in self.turned or embeds(name) else shape[0]

    def inputs(self, name: str) -> int:
        """Return how many inputs a weight reads, of one group."""
        shape = self.weights[name].shape
        return shape[0] if name in self.turned or embeds(name) else shape[1]

    def before(self, name: str) -> str | None:
        """Return the weight before another in the network's order."""
        place = self._places.get(name, 0)
        return self.makers[place - 1] if place else None

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.makers)}

    # Embeddings

    def embedding(self, name: str) -> str | None:
        """Return what shows that a matrix is a table of embeddings; "" if it could be one, None if it is none."""
        tensor = self.weights[name]
        if tensor.ndim != 2 or bias_of(name, self.weights) is not None or self._in_a_stack(name):
            return None  # a table has no bias
        rows, width = tensor.shape
        if embeds(name) and (looks_like_weight(name) or self._read[width] > 1):  # a buffer may have such a name
            return "its name"
        if makes_outputs(name) or looks_like_matrix(name) or name in self.turned:
            return None
        if rows in self._numbers(_VOCABULARY) and width in self._numbers(_WIDTH):
            # The first in the network is the table; the output layer has the same shape.
            alike = [one for one in self.makers if self.weights[one].shape == tensor.shape and not makes_outputs(one)]
            return "the size of the vocabulary in config.json" if alike[0] == name else None
        if not looks_like_weight(name):  # a buffer lies before all layers, and may have any shape
            return None
        if name in self._first_tables:
            return "its place, its rows, which no layer reads, and its columns, which others read"
        # A layer of its own reads its columns, too.
        if self._read[rows] or self._read[width] < 2 or rows < width or is_fused(name) or not self._is_lone(name):
            return None
        if self.order_is_known:
            return None if rows < MANY * width or self.makers[-1] == name else _MANY_ROWS
        return _MANY_ROWS if rows >= MANY * width else ""

    @cached_property
    def _first_tables(self) -> list[str]:
        """The matrices before the first layer: no layer reads their rows, and others read their columns."""
        tables: list[str] = []
        weights = [name for name in self.makers if looks_like_weight(name) or embeds(name) or looks_like_matrix(name)]
        for name in weights[:-1] if self.order_is_known else ():
            tensor = self.weights[name]
            named = makes_outputs(name) or looks_like_matrix(name) or is_fused(name) or name in self.turned
            if tensor.ndim != 2 or named or self._read[len(tensor)] or bias_of(name, self.weights) is not None:
                break
            tables.append(name)
        read = {self.inputs(name) for name in weights[len(tables) :]}
        return [name for name in tables if self.weights[name].shape[1] in read]

    @cached_property
    def _read(self) -> Counter[int]:
        """How many weights read each number of inputs; a table's columns count, as it may be a layer."""
        counts = Counter(self.inputs(name) for name in self.makers)
        counts.update(self.weights[name].shape[1] for name in self.makers if embeds(name))
        return counts

    def _numbers(self, keys: tuple[str, ...]) -> set[int]:
        parts = [self.config, *(one for one in self.config.values() if isinstance(one, Mapping))]
        return {part[key] for part in parts for key in keys if isinstance(part.get(key), int)}

    def _in_a_stack(self, name: str) -> bool:
        """Return whether a layer lies in a numbered block, where tables known by their shape alone do not."""
        return re.search(r"(^|\.)\d+\.\w+\.", name) is not None and not embeds(name)

    def _is_lone(self, name: str) -> bool:
        shape = self.weights[name].shape
        return [one for one in self.makers if self.weights[one].shape == shape and not makes_outputs(one)] == [name]

    # Convolutions

    def reads_one_channel(self, name: str) -> bool:
        """Return whether a convolution of one input channel is the network's first layer, so that it is not depthwise.

        A kernel as wide as the features of the layer before runs over these: a convolution over words.
        """
        before = self.before(name)
        if before is None:
            others = (one for one in self.makers if one != name and self.weights[one].ndim > 2)
            return self.order_is_known or not any(self._reads_images(one) for one in others)
        kernel = self.weights[name].shape[2:]
        return self.units(before) != len(self.weights[name]) and self.units(before) in kernel

    def _reads_images(self, name: str) -> bool:
        made = {self.units(one) for one in self.makers}
        return self.inputs(name) not in made

    def groups(self, name: str) -> tuple[int, str]:
        """Return the number of groups of a convolution, and what was assumed."""
        weight, before = self.weights[name], self.before(name)
        each, one_group = self.inputs(name), "read as a convolution in one group"
        if name in self.turned or before is None:
            return 1, one_group
        if not (self.order_is_known or _are_neighbors(layer_of(before), layer_of(name))):
            return 1, one_group
        made = self.units(before)
        # The network's input has channels that no layer makes.
        if made == each or each in (3, self.inputs(self.makers[0])) or _SQUEEZE.search(name):
            return 1, "" if made == each else one_group
        number, rest = divmod(made, each)
        if rest or number < 2 or len(weight) % number:
            return 1, one_group
        others = [one for one in self.makers if one != name and self.units(one) == each and not _SQUEEZE.search(one)]
        # As many layers side by side as there would be groups may read a part of the channels each.
        siblings = self._siblings(name)
        # Two branches of one layer both read what that one makes, whatever its name.
        branches = self.inputs(before) == each and any(self.units(one) == each for one in self.makers)
        alone = not (others or branches) and len(siblings) != number and before not in siblings
        if alone and (len(weight) == made or weight[0, 0].numel() > 1):
            return number, f"read in {number} groups, by the channels of the layer before it"
        return 1, f"{one_group}; it may have {number} groups"

    def _siblings(self, name: str) -> list[str]:
        """Return the weights of the same shape that are named alike, but for the last number of a list of modules."""
        head, dot, tail = re.sub(r"^(.*\.)?\d+(\..*)$", r"\1|\2", name).partition("|")
        if not dot:
            return [name]
        shape = self.weights[name].shape
        numbered = re.compile(rf"{re.escape(head)}\d+{re.escape(tail)}$")
        return [one for one in self.makers if numbered.match(one) and self.weights[one].shape == shape]

    # Batch norm

    @cached_property
    def norms(self) -> dict[str, str]:
        """The batch norm behind a weight, by their names and order in the file: ``bn1`` behind ``conv1``."""
        found = {}
        modules = list(dict.fromkeys(name.rpartition(".")[0] for name in self.weights))
        places = {module: place for place, module in enumerate(modules)}
        variances = {module: self.weights.get(f"{module}.running_var") for module in modules}
        norms = {module: len(one) for module, one in variances.items() if one is not None and one.ndim == 1}
        for name, tensor in self.weights.items():
            module, _, last = name.rpartition(".")
            if tensor.ndim < 2 or last != "weight" or module in norms:
                continue
            following = places[module] + 1
            beside = modules[following : following + 1] if self.order_is_known else norms
            fits = [one for one in beside if one in norms and _is_behind(one, module, self.order_is_known)]
            if len(fits) == 1 and norms[fits[0]] in tensor.shape[:2]:
                found[name] = fits[0]
        # Norms before their convolutions have the same names; that a file is not in order hides them.
        before = any(norms[norm] != len(self.weights[name]) for name, norm in found.items())
        return {} if before and not self.order_is_known else found


_PAIRS = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"} | {
    "_conv_head": "_bn1",
    "conv": "bn",
    "convolution": "normalization",
}
"""Names of convolutions with those of the norms behind them, where numbers don't tell."""


def _is_behind(norm: str, layer: str, ordered: bool) -> bool:
    """Return whether a norm can be behind a layer by their names."""
    (parent, _, own), (holder, _, last) = norm.rpartition("."), layer.rpartition(".")
    if parent != holder:
        return False
    if own.isdecimal() and last.isdecimal():
        return int(own) == int(last) + 1
    if last in _PAIRS and own == _PAIRS[last]:
        return True
    numbers = [re.search(r"\d+$", one) for one in (own, last)]
    if all(numbers):
        return numbers[0][0] == numbers[1][0]  # type: ignore[index]  # both were found
    return ordered and not any(numbers)


def _are_neighbors(a: str, b: str) -> bool:
    """Return whether two layers follow one another by their names: ``1.conv1`` and ``1.conv2``, wrapped or not."""
    own, other = a.split("."), b.split(".")
    if own[-1] == other[-1]:
        own, other = own[:-1], other[:-1]
    last = [re.sub(r"\d+", "#", part) for part in (*own[-1:], *other[-1:])]
    return own[:-1] == other[:-1] and len(set(last)) == 1


def _kind(name: str) -> str:
    """Return the name that layers of one class share: the last part before the weight, unless it is a number."""
    last = layer_of(name).rpartition(".")[2]
    return name if last.isdecimal() else last


def _naturally(name: str) -> list[tuple[bool, int, str]]:
    """Return a key by which layers 2 and 10 are in their order."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)|\.", name) if part
    ]
