"""Infer layers from the names and shapes in a bare state dict."""

import re
from collections.abc import Mapping

from torch import Tensor

from ...stats.weights.unit_vectors import PARTS, Fused, split_units

_EMBEDS = re.compile(r"(^|[._])(wte|wpe|embs?|embeds?|embeddings?|embed_tokens|embed_positions)(\.weight)?$")
_RECURRENT = re.compile(r"weight_(ih|hh|hr)(_l\d+)?(_reverse)?$")
_GATE = re.compile(rf"((?:.*\.)?[ih]h(?:_l\d+)?(?:_reverse)?)\.(?:{'|'.join({*PARTS['lstm'], *PARTS['gru']})})")
_PROJECTIONS = re.compile(r"(^|[._])(in_proj_weight|qkv\.weight|c_attn\.weight)$")
_GATES: dict[int, Fused] = {3: "gru", 4: "lstm"}


def layer_of(name: str) -> str:
    """Return the layer that a weight belongs to: its name without the part that stands for the weight.

    Example:
        >>> layer_of("encoder.0.weight"), layer_of("rnn.weight_ih_l0"), layer_of("attn.in_proj_weight")
        ('encoder.0', 'rnn.ih_l0', 'attn')
    """
    head, _, last = name.rpartition(".")
    if last == "weight" and head:
        return head
    if last == "in_proj_weight":
        return head or last
    shorter = last.removeprefix("weight_").removesuffix("_weight")
    return f"{head}.{shorter}" if head else shorter


def weight_of_gate(layer: str) -> str | None:
    """Return the recurrent weight that one gate's name belongs to; None for other layers.

    Example:
        >>> weight_of_gate("rnn.ih_l0_reverse.forget"), weight_of_gate("hh.new"), weight_of_gate("attn.output")
        ('rnn.ih_l0_reverse', 'hh', None)
    """
    found = _GATE.fullmatch(layer)
    return found[1] if found else None


def embeds(name: str) -> bool:
    """Return whether a weight is an embedding's by its name.

    Example:
        >>> [embeds(name) for name in ("wte.weight", "text.token_embedding.weight", "tok_emb.weight")]
        [True, True, True]
        >>> embeds("patch_embed.proj.weight")
        False
    """
    return _EMBEDS.search(name) is not None


def is_bias(name: str) -> bool:
    """Return whether a tensor is a bias or a mask by its name, whatever its shape.

    Example:
        >>> is_bias("attn.relative_position_bias_table"), is_bias("bias_free.weight")
        (True, False)
    """
    last = name.rpartition(".")[2]
    return "bias" in last or "mask" in last


def looks_like_weight(name: str) -> bool:
    """Return whether the last part of a name calls it a weight."""
    return "weight" in name.rpartition(".")[2] or "kernel" in name.rpartition(".")[2]


def fused_parts(name: str, weight: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a weight by gate or projection if its name and shape show them, else whole, under "".

    Args:
        name: of the weight.
        weight: units first.
        weights: all of the state dict, in which a gate's width is found.
    """
    if _PROJECTIONS.search(name) and len(weight) == 3 * weight.shape[1]:
        return split_units(weight, "attention")
    kind = _gates(name, weights)
    return split_units(weight, kind) if kind else {"": weight}


def _gates(name: str, weights: Mapping[str, Tensor]) -> Fused | None:
    """Return LSTM or GRU, by the height of the weights over the width of the hidden state; None for plain layers."""
    found = _RECURRENT.search(name)
    if not found or found[1] == "hr":
        return None
    start = name[: found.start()]
    inner = weights.get(f"{start}weight_hh{found[2] or ''}{found[3] or ''}")
    if inner is None or inner.ndim != 2:
        return None
    if f"{start}weight_hr{found[2] or ''}{found[3] or ''}" in weights:
        return "lstm"  # the only kind that projects its hidden state
    times, rest = divmod(len(inner), inner.shape[1])
    return None if rest else _GATES.get(times)


def turned_by_bias(weights: Mapping[str, Tensor]) -> set[str]:
    """Return the weights that are stored as (inputs, units, ...): their bias is as long as their second axis.

    Square ones tell nothing, and follow those of the same last name that do.

    Example:
        >>> import torch
        >>> state = {"a.fc.weight": torch.ones(2, 3), "a.fc.bias": torch.ones(3), "b.fc.weight": torch.ones(2, 2)}
        >>> sorted(turned_by_bias(state))
        ['a.fc.weight', 'b.fc.weight']
    """
    known = {name: told for name in weights if (told := _told(name, weights)) is not None}
    turned = {name for name, told in known.items() if told}
    upright = {_kind(name) for name, told in known.items() if not told}
    alike = {_kind(name) for name in turned} - upright
    square = {
        name
        for name, tensor in weights.items()
        if name not in known and name.endswith(".weight") and tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1]
    }
    return turned | {name for name in square if _kind(name) in alike}


def _told(name: str, weights: Mapping[str, Tensor]) -> bool | None:
    weight, bias = weights[name], weights.get(f"{name.removesuffix('weight')}bias")
    if not name.endswith("weight") or weight.ndim < 2 or bias is None or bias.ndim != 1 or embeds(name):
        return None
    sizes = weight.shape[:2]
    if sizes[0] == sizes[1] or len(bias) not in sizes:
        return None
    return len(bias) == sizes[1]


def _kind(name: str) -> str:
    """Return the name that layers of one class share: the last part before the weight, unless it is a number."""
    last = name.removesuffix(".weight").rpartition(".")[2]
    return name if last.isdecimal() else last
