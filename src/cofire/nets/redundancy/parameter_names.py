"""What the names in a bare state dict say of its tensors."""

import re
from collections.abc import Mapping

from torch import Tensor

from ...stats.weights.unit_vectors import PARTS, Fused, split_units

_EMBEDS = re.compile(
    r"(^|[._])(wte|wpe|embs?|embeds?|embedders?|embeddings?|embed_tokens|embed_positions|embed_in|shared|lut)(\.weight)?$"
)
_IS_OUTPUT = re.compile(
    r"(^|[._])(heads?|output|outputs|embed_out|classifier|logits|decoder|generator|unembed|score|out|fc|final|predictions)"
    r"(\.weight)?$"
)
_RECURRENT = re.compile(r"weight_(ih|hh|hr)(_l\d+)?(_reverse)?$")
_GATE = re.compile(rf"((?:.*\.)?[ih]h(?:_l\d+)?(?:_reverse)?)\.(?:{'|'.join({*PARTS['lstm'], *PARTS['gru']})})")
_PROJECTIONS = re.compile(r"(^|[._])(in_proj_weight|qkv\.weight|qkv_proj\.weight|Wqkv\.weight|c_attn\.weight)$")
_INTERLEAVED = re.compile(r"(^|[._])(query_key_value|gate_up_proj|Wi)(\.weight)?$")
_GATES: dict[int, Fused] = {3: "gru", 4: "lstm"}
_RAW = re.compile(r"([wW]\d*|[wW]_?[a-z]{1,3}|proj|.*_proj|.*projection|lora_[AB]|kernel)$")

_NO_WEIGHTS = (
    (re.compile(r"(^|[._])([a-z]*norm\d*|ln(_?\w)?|bn\d*|gn\d*|grn)\.(weight|scale)$"), "a norm's scale by its name"),
    (
        re.compile(r"(^|[._])(relative\w*_(bias|position|positions|embed\w*|table)\w*|rel_pos\w*)$"),
        "a table of relative positions, no weights",
    ),
    (
        re.compile(r"(^|[._])(A|A_log|A_logs|A_b_log|D|Ds|dt_projs_bias|(conv|ssm)_states?)$"),
        "a state matrix, no weights",
    ),
    (
        re.compile(
            r"(^|[._])(pos|position|positions|positional|abs_pos)(_?(emb|embed|embedding|embeddings|encoding))?$"
        ),
        "a table of positions, no layer's weights",
    ),
    (
        re.compile(
            r"(^|[._])(cls|class|dist|mask|register|reg|query|latent|latents)_?(tokens?|embedding|embed|queries)$"
        ),
        "learned tokens, no layer's weights",
    ),
)


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
        >>> [embeds(name) for name in ("wte.weight", "text.token_embedding.weight", "tok_emb.weight", "shared.weight")]
        [True, True, True, True]
        >>> embeds("patch_embed.proj.weight")
        False
    """
    return _EMBEDS.search(name) is not None


def makes_outputs(name: str) -> bool:
    """Return whether a weight is an output layer's by its name.

    Example:
        >>> makes_outputs("lm_head.weight"), makes_outputs("layers.0.fc1.weight")
        (True, False)
    """
    return _IS_OUTPUT.search(name) is not None


def no_weights(name: str) -> str | None:
    """Return why a tensor is no layer's weights by its name, whatever its shape; None if its name does not say so.

    Example:
        >>> no_weights("attn.relative_position_bias_table"), no_weights("mixer.A_log")
        ('a table of relative positions, no weights', 'a state matrix, no weights')
        >>> no_weights("bias_free.weight") is None
        True
    """
    for pattern, reason in _NO_WEIGHTS:
        if pattern.search(name.removesuffix(".weight") if "relative" in reason else name):
            return reason
    last = name.rpartition(".")[2]
    return "a bias or a mask by its name" if "bias" in last or "mask" in last else None


def looks_like_weight(name: str) -> bool:
    """Return whether the last part of a name calls it a weight."""
    return "weight" in name.rpartition(".")[2] or "kernel" in name.rpartition(".")[2]


def looks_like_matrix(name: str) -> bool:
    """Return whether the last part of a name is one that people give to a matrix of their own, such as ``w1``.

    Example:
        >>> [looks_like_matrix(name) for name in ("w", "block.Wq", "down_proj", "scale", "table")]
        [True, True, True, False, False]
    """
    return _RAW.match(name.rpartition(".")[2]) is not None


def n_biases(name: str, whole: Tensor, part: Tensor, weights: Mapping[str, Tensor]) -> int:
    """Return how many biases go with a part of a weight: its share of those that the weight has by its name.

    Example:
        >>> import torch
        >>> qkv = torch.ones(12, 4)
        >>> n_biases("qkv.weight", qkv, qkv[:4], {"qkv.weight": qkv, "qkv.bias": torch.ones(12)})
        4
    """
    bias = bias_of(name, weights)
    if bias is None or not 0 < bias.numel() <= whole.numel():
        return 0
    return round(bias.numel() * part.numel() / whole.numel())


def bias_of(name: str, weights: Mapping[str, Tensor]) -> Tensor | None:
    """Return the bias that belongs to a weight by its name.

    Example:
        >>> import torch
        >>> len(bias_of("mlp.w1", {"mlp.b1": torch.ones(7)}))
        7
    """
    head, dot, last = name.rpartition(".")
    names = [last.replace("weight", "bias"), last.replace("kernel", "bias"), f"{last}_bias"]
    if not looks_like_weight(name):
        names += [re.sub(r"^[wW]", "b", last), "bias"]
    found = (weights.get(f"{head}{dot}{one}") for one in names if one != last)
    return next((bias for bias in found if bias is not None and bias.ndim >= 1), None)


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


def is_fused(name: str) -> bool:
    """Return whether a weight holds several projections by its name: queries, keys and values, or gates and values."""
    return _PROJECTIONS.search(name) is not None or _INTERLEAVED.search(name) is not None


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
